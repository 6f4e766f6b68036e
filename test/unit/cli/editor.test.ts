import { describe, expect, test } from "bun:test";

import { type ConfigFormat, exampleConfigs } from "../../../src/cli/example-configs.ts";
import { runCli } from "../../../src/cli/run-cli.ts";
import { describeJsonSchema } from "../../../src/config/json-schema.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { findMismatches } from "../../support/match-json-schema.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const root = `${import.meta.dir}/../../..`;

/** What the compiler says of files in a folder, without any other file. */
async function compile(folder: string, ...files: string[]): Promise<{ code: number; said: string[] }> {
  const child = Bun.spawn([process.execPath, `${root}/node_modules/.bin/tsc`, "--noEmit", "--strict", ...files], {
    cwd: folder,
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdout: "pipe",
    stderr: "inherit",
  });
  const said = await new Response(child.stdout).text();
  return { code: await child.exited, said: said.split("\n").filter((line) => line !== "") };
}

const wrong = `/// <reference path="./penstock.d.ts" />
import { defineConfig, env, type DecideTarget } from "penstock";
const decide: DecideTarget = ({ client }) => (client.startsWith("10.") ? { deny: true } : undefined);
export default defineConfig({
  users: async (name, password, { session }) => name === password && session.length > 1 && name > 1,
  timeouts: { idel: "1s" },
  upstreams: {
    corp: { url: "http://corp:3128", username: "u", password: env("P") },
    pool: { pool: ["corp"], balance: ({ members }) => members.find((each) => each.helath)?.name },
  },
  rules: [
    decide,
    ({ port }) => (port.endsWith("x") ? { deny: true } : undefined),
    { to: ["*.example.org"], via: async (query) => query.hots },
  ],
});
`;

describe("a configuration in TypeScript, with what init wrote and nothing else", () => {
  test("is checked by tsc, which finds each mistake and knows the arguments of functions", async () => {
    await using folder = await makeFolder();
    expect(await runCli(["init"], createFakeIo({ folder: folder.path }))).toBe(0);
    await folder.write({ "wrong.ts": wrong });
    const { code, said } = await compile(folder.path, "proxy.config.ts", "wrong.ts");
    expect(code).not.toBe(0);
    // proxy.config.ts is right.
    expect(said.map((line) => line.replace(/: error TS\d+:.*/, ""))).toEqual([
      "wrong.ts(5,92)",
      "wrong.ts(6,15)",
      "wrong.ts(9,83)",
      "wrong.ts(13,25)",
      "wrong.ts(14,58)",
    ]);
  }, 120_000);
});

describe("penstock init --format", () => {
  const formats = Object.keys(exampleConfigs) as ConfigFormat[];

  test.each(formats)(
    "%s writes a valid file, with the line and the file that make an editor know it",
    async (format) => {
      await using folder = await makeFolder();
      const io = createFakeIo({ folder: folder.path });
      expect(await runCli(["init", "--format", format], io)).toBe(0);
      const checked = createFakeIo({ folder: folder.path });
      expect(await runCli(["check", "--json"], checked)).toBe(0);
      const report = JSON.parse(checked.printed()) as { effective: object };
      expect(report).toMatchObject({ valid: true, warnings: [], effective: { rules: [{ name: "no-mail" }] } });
      const name = format === "ts" ? "penstock.d.ts" : "penstock.schema.json";
      expect(await folder.read(`proxy.config.${format}`)).toContain(`./${name}`);
      expect(await folder.read(name)).toContain(
        format === "ts" ? 'declare module "penstock"' : '"additionalProperties"',
      );
      expect(io.told).toEqual([
        `Wrote proxy.config.${format}, and ${name} for editors. Edit it, then run "penstock check" and "penstock".`,
      ]);
    },
  );

  test.each(["yaml", "toml"] as const)("%s is valid with every setting that it shows in a comment", async (format) => {
    const text = exampleConfigs[format].text.replace(/^( *)# (?=[a-z]+:(?: |$)|-|[a-z]+ = |\[| {2}[a-z]+: )/gm, "$1");
    await using folder = await makeFolder({ [`proxy.config.${format}`]: text, "users.htpasswd": "# nobody yet\n" });
    const io = createFakeIo({ folder: folder.path, variables: { CORP_PASSWORD: "x", SIDECAR_TOKEN: "y" } });
    expect(await runCli(["check", "--json"], io)).toBe(0);
    const { effective } = JSON.parse(io.printed()) as { effective: Record<string, unknown> };
    expect(effective).toMatchObject({ upstreams: { exit: "socks5h://10.0.0.7:1080" }, sidecar: { port: 9080 } });
  });

  test("refuses another format, and files that are there", async () => {
    await using folder = await makeFolder({ "penstock.schema.json": "{}" });
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["init", "--format", "yml"], io)).toBe(2);
    expect(io.told).toEqual(['--format is "yml". Write one of "ts", "yaml", "toml", "json". Did you mean "yaml"?']);
    const other = createFakeIo({ folder: folder.path });
    expect(await runCli(["init", "--format", "yaml"], other)).toBe(1);
    expect(other.told[0]).toContain("Cannot write penstock.schema.json: another file has this name.");
    expect(await folder.read("penstock.schema.json")).toBe("{}");
  });
});

describe("penstock types", () => {
  test("writes the file again after an upgrade, and prints it", async () => {
    await using folder = await makeFolder({ "penstock.d.ts": "// The types of Penstock's configuration. Old.\n" });
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["types"], io)).toBe(0);
    const printed = createFakeIo();
    expect(await runCli(["types", "--print"], printed)).toBe(0);
    expect(await folder.read("penstock.d.ts")).toBe(printed.printed());
  });
});

describe("the JSON Schema, as an editor uses it", () => {
  const schema = describeJsonSchema();

  test.each([
    [{ timeouts: { idle: "10m", lameDuck: "0", connect: "1.5h" } }],
    [{ limits: { headBytes: "64KiB", rate: "50/s", perUser: { bandwidth: "100Mbit/s" } }, spliceAfter: "1B" }],
    [{ listen: ["127.0.0.1:1", "8080", "[::]:0", "localhost:80", ":1", 8080, { port: 1 }] }],
    [{ clients: ["10.0.0.0/8", "::1", "2001:db8::/32"], upstream: "environment" }],
    [{ upstreams: { a: "HTTPS://u:p%40@h", b: { pool: ["a", "socks5h://10.0.0.7"] }, c: { pac: "a.pac" } } }],
    [
      {
        rules: [
          { to: ["*", "*.example.org:443", "bücher.example", "[2001:db8::/32]:80,443", "10.0.0.0/8:1-2"], deny: true },
          { to: ["::1", "a:*", "@dev", { file: "a" }], from: ["@dev", "10.0.0.1"], allow: true },
        ],
      },
    ],
  ])("takes %j", (config) => {
    expect(findMismatches(schema, config)).toEqual([]);
  });

  test.each([
    [{ timeouts: { idle: "10 minutes" } }, ".timeouts.idle"],
    [{ timeouts: { idle: 10 } }, ".timeouts.idle"],
    [{ limits: { headBytes: "64k" } }, ".limits.headBytes"],
    [{ limits: { rate: "50" } }, ".limits.rate"],
    [{ limits: { bandwidth: "20MB" } }, ".limits.bandwidth"],
    [{ clients: ["10.0.0.0-10.0.0.9"] }, ".clients[0]"],
    [{ upstream: "proxy.example:3128" }, ".upstream"],
    [{ upstreams: { a: "ftp://h" } }, ".upstreams.a"],
    [{ listen: ["http://127.0.0.1:1"] }, ".listen[0]"],
    [{ rules: [{ to: ["https://github.com/"] }] }, ".rules[0].to[0]"],
    [{ rules: [{ to: ["*example.org"] }] }, ".rules[0].to[0]"],
    [{ rules: [{ to: ["a b"] }] }, ".rules[0].to[0]"],
    [{ opne: true }, ".opne"],
  ])("finds what is wrong in %j", (config, path) => {
    expect(findMismatches(schema, config)).toEqual([path]);
  });
});
