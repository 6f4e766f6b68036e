import { describe, expect, test } from "bun:test";
import { runCli } from "../../../src/cli/run-cli.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const config = {
  upstreams: { corp: "socks5h://10.0.0.1", exit: "http://u:hunter2@10.0.0.2:3128" },
  upstream: "http://10.0.0.9:3128",
  rules: [{ name: "registry", to: ["*.npmjs.org"], via: "corp" }],
};

async function explain(...argv: string[]) {
  await using folder = await makeFolder({ "proxy.config.json": config });
  const io = createFakeIo({ folder: folder.path });
  const code = await runCli(["explain", ...argv], io);
  return { code, text: io.printed(), told: io.told.join("\n") };
}

describe("penstock explain --upstream", () => {
  test.each<[upstream: string[], target: string, route: string]>([
    [[], "https://a.example/", "upstream (http://10.0.0.9:3128)"],
    [["--upstream", "exit"], "https://a.example/", "exit (http://10.0.0.2:3128)"],
    [["--upstream", "exit"], "https://registry.npmjs.org/", "corp (socks5h://10.0.0.1:1080)"],
    [["--upstream", "exit,corp"], "https://a.example/", "exit"],
    [["--upstream", "direct"], "https://192.0.2.1/", "direct"],
    [["--upstream", "http://u:hunter2@10.0.0.7:3128"], "https://a.example/", "upstream (http://10.0.0.7:3128)"],
  ])("%j explains %s as %s", async (argv, target, route) => {
    const { text, told } = await explain(target, ...argv);
    expect(text.split("\n").find((line) => line.startsWith("route:"))).toContain(route);
    expect(text + told).not.toContain("hunter2");
  });

  test("names the flag when there is no such upstream, and exits with 78", async () => {
    const { code, told } = await explain("a.example", "--upstream", "exot");
    expect([code, told]).toEqual([78, expect.stringContaining('(from --upstream): There is no upstream "exot".')]);
    expect(told).not.toContain("PENSTOCK_DEFAULT");
  });

  test("exits with 1 where everything else is denied", async () => {
    expect(await explain("a.example", "--upstream", "deny")).toMatchObject({ code: 1 });
    expect(await explain("registry.npmjs.org", "--upstream", "deny")).toMatchObject({ code: 0 });
  });
});
