import { expect, test } from "bun:test";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
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

test("SIGUSR1 ends nothing, before and while the proxy drains, and one line says that there is no file to open again", async () => {
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
  expect(await proxy.untilTold("there is no log file to open again")).toStartWith(`${signal}: `);
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

test("SIGUSR1 opens the log file again, so that one that was moved away is whole", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": {
      listen: ["127.0.0.1:0"],
      rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
      log: { access: "squid", file: "access.log" },
    },
  });
  using echo = listenEcho();
  await using proxy = await startExecutable({ cwd: folder.path });
  const path = join(folder.path, "access.log");
  const visit = async (file: string, lines: number) => {
    using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);
    client.finish();
    await client.untilEnd();
    await waitFor(async () => (await Bun.file(file).text()).split("\n").length === lines + 1, `${lines} lines`);
  };
  await visit(path, 1);
  await rename(path, `${path}.1`);
  await visit(`${path}.1`, 2);
  proxy.signal("SIGUSR1");
  expect(await proxy.untilTold("opened again")).toBe(`SIGUSR1: access lines go to ${path}, opened again.`);
  await visit(path, 1);
  expect(await Bun.file(path).text()).toMatch(
    new RegExp(
      `^[0-9.]+ +[0-9]+ 127\\.0\\.0\\.1 TCP_TUNNEL/200 0 CONNECT 127\\.0\\.0\\.1:${echo.port} - HIER_DIRECT/127\\.0\\.0\\.1 -\\n$`,
    ),
  );
  expect((await Bun.file(`${path}.1`).text()).trimEnd().split("\n")).toHaveLength(2);
  await rm(path);
  await mkdir(path);
  proxy.signal("SIGUSR1");
  expect(await proxy.untilTold("it is a folder")).toEndWith("Access lines still go to the file that was open before.");
});

test("a log file that cannot be opened ends the start, with the setting", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": { listen: ["127.0.0.1:0"], log: { file: "missing/access.log" } },
  });
  await using program = startProgram([await findExecutable()], { cwd: folder.path });
  expect(await program.exited).toBe(1);
  expect(program.told.at(-1)).toEndWith('of "log.file": its folder does not exist.');
});
