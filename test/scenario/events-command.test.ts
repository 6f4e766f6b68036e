import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { waitFor } from "../support/wait-for.ts";

const variables = { PENSTOCK_SIDECAR_TOKEN: "scenario-token" };

function locate(proxy: TestProxy): string {
  return `http://127.0.0.1:${proxy.daemon.sidecar?.port}`;
}

/** Runs `penstock events` beside the test. */
function follow(sidecar: string, ...args: string[]) {
  const io = createFakeIo({ variables });
  return { io, code: runCli(["events", ...args, "--sidecar", sidecar], io) };
}

describe("penstock events", () => {
  test("prints what happens until SIGINT", async () => {
    await using proxy = await startProxy({});
    const { io, code } = follow(locate(proxy), "--type", "refused");
    await io.untilTold("Watching until SIGINT.");
    await proxy.tunnel("10.0.0.1:1");
    await waitFor(() => io.printed().includes("address_prohibited"), "the refusal");
    expect(io.printed()).toMatch(
      /^\d\d:\d\d:\d\d refused +- +127\.0\.0\.1 → 10\.0\.0\.1:1 403 address_prohibited .*\[.+\]\n$/,
    );
    io.signal("SIGINT");
    expect(await code).toBe(0);
  });

  test("prints JSON for machines", async () => {
    await using proxy = await startProxy({});
    const { io, code } = follow(locate(proxy), "--json", "--word", "address_prohibited");
    await io.untilTold("Watching until SIGINT.");
    await proxy.tunnel("10.0.0.1:1");
    await waitFor(() => io.printed().endsWith("\n"), "a line");
    expect(JSON.parse(io.printed())).toMatchObject({ v: 1, event: "refused", detail: "address_prohibited" });
    io.signal("SIGINT");
    expect(await code).toBe(0);
  });

  test("goes on when the proxy comes back at its address", async () => {
    const first = await startProxy({});
    const port = first.daemon.sidecar?.port;
    const { io, code } = follow(locate(first));
    await io.untilTold("Watching until SIGINT.");
    await first[Symbol.asyncDispose]();
    await io.untilTold("The connection to the sidecar is over. Trying again until SIGINT.");
    await using second = await startProxy({ sidecar: { port, token: "scenario-token" } });
    await io.untilTold("Watching again.");
    await second.tunnel("10.0.0.1:1");
    await waitFor(() => io.printed().includes("address_prohibited"), "the refusal");
    io.signal("SIGINT");
    expect(await code).toBe(0);
  });

  test("says why it cannot watch", async () => {
    await using proxy = await startProxy({});
    const sidecar = locate(proxy);
    const wrong = follow(sidecar, "--type", "nothing");
    expect(await wrong.code).toBe(2);
    expect(wrong.io.told[0]).toStartWith('The sidecar refused (400): There is no event "nothing".');
    const io = createFakeIo({ variables: {} });
    expect(await runCli(["events", "--sidecar", sidecar], io)).toBe(2);
    const nobody = follow("http://127.0.0.1:1");
    expect(await nobody.code).toBe(1);
    expect(nobody.io.told[0]).toStartWith("Cannot reach the sidecar at http://127.0.0.1:1");
  });
});

describe("a command", () => {
  test.each([
    ["events", "Watching until SIGINT."],
    ["approvals --watch", "Watching until SIGINT."],
    ["learn --live 1h", "Watching."],
    ["top --json", undefined],
  ])(
    "that follows a running proxy ends with the reason when its token is not valid any more: %s",
    async (command, watching) => {
      const first = await startProxy({});
      const port = first.daemon.sidecar?.port;
      const io = createFakeIo({ variables });
      const code = runCli([...command.split(" "), "--sidecar", locate(first)], io);
      if (watching === undefined) await waitFor(() => io.printed() !== "", "a line");
      else await io.untilTold(watching);
      await first[Symbol.asyncDispose]();
      await using _ = await startProxy({ sidecar: { port, token: "another-token" } });
      expect(await code).toBe(1);
      expect(io.told.join("\n")).toContain("The sidecar refused (401): ");
    },
  );
});
