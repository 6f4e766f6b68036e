import { expect, test } from "bun:test";
import { openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { startExecutable } from "../support/executable.ts";
import { startProgram } from "../support/program.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s ends it with 0 while its configuration is still loading",
  async (signal) => {
    await using folder = await makeFolder({
      "proxy.config.ts": `process.stderr.write("loading\\n"); await new Promise(() => {}); export default {};`,
    });
    await using program = startProgram([await findExecutable()], { cwd: folder.path });
    await program.untilTold("loading");
    program.signal(signal);
    expect(await program.exited).toBe(0);
    expect(program.told.at(-1)).toBe(`${signal}: ended before it listened.`);
  },
);

test("SIGUSR1 ends nothing, before and while the proxy drains, and one line says what it does not do", async () => {
  const signal = "SIGUSR1";
  await using folder = await makeFolder({
    "proxy.config.json": {
      listen: ["127.0.0.1:0"],
      rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
      timeouts: { drain: "1d" },
    },
  });
  using echo = listenEcho();
  await using proxy = await startExecutable({ cwd: folder.path });
  using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);
  proxy.signal(signal);
  expect(await proxy.untilTold("there are no log files to reopen")).toStartWith(`${signal}: `);
  client.write("one");
  await client.untilText("one");
  expect(proxy.told.filter((line) => line.startsWith(signal))).toHaveLength(1);

  proxy.signal("SIGTERM");
  await proxy.untilTold("accepting no more connections");
  proxy.signal(signal);
  const told = (): readonly string[] => proxy.told.filter((line) => line.startsWith(signal));
  // It ends with its last connection, whether it has heard of the signal or not.
  await waitFor(() => told().length === 2, "the second message");
  client.write("two");
  await client.untilText("onetwo");
  client.finish();
  await client.untilEnd();
  expect(await proxy.exited).toBe(0);
  expect(told()).toHaveLength(2);
});
