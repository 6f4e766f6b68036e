import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runCli } from "../../src/cli/run-cli.ts";
import type { LogSink } from "../../src/proxy/record/access-log.ts";
import { createFakeIo } from "../support/fake-io.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "penstock-serve-"));
});
afterAll(() => rm(root, { recursive: true }));

/** Starts `penstock serve` in a folder of its own and waits until it listens. */
async function startServing(
  config: object,
  files: Readonly<Record<string, string>> = {},
  accessSink: LogSink = () => {},
) {
  const folder = await mkdtemp(join(root, "s-"));
  await Bun.write(join(folder, "proxy.config.json"), JSON.stringify({ listen: ["127.0.0.1:0"], ...config }));
  for (const [name, text] of Object.entries(files)) await Bun.write(join(folder, name), text);
  const io = createFakeIo({ folder, accessSink });
  const exit = runCli([], io);
  const line = await io.untilTold("Listening on");
  return { io, exit, folder, port: Number(/:(\d+)\.$/.exec(line)?.[1]) };
}

/** Asks for a tunnel with these credentials and gives the status of the answer. */
async function askForTunnel(port: number, credentials: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const field = `Proxy-Authorization: Basic ${btoa(credentials)}\r\n`;
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(`CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n${field}\r\n`),
      data: (socket, bytes) => {
        resolve(Number(bytes.toString().split(" ")[1]));
        socket.end();
      },
    },
  });
  return promise;
}

describe("penstock serve", () => {
  test("exits with 0 after a signal", async () => {
    const { io, exit } = await startServing({});
    io.signal("SIGTERM");
    expect(await exit).toBe(0);
    expect(io.told.at(-1)).toStartWith("SIGTERM: accepting no more connections");
  });

  test("ends a tunnel at the second signal that the first one lets go on", async () => {
    using target = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    const { io, exit, port } = await startServing({
      rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
      timeouts: { drain: "1d" },
    });
    const authority = `127.0.0.1:${target.port}`;
    const tunnel = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`),
        data: () => tunnel.resolve(),
        close: () => gone.resolve(),
      },
    });
    await tunnel.promise;
    io.signal("SIGINT");
    io.signal("SIGINT");
    await gone.promise;
    expect(await exit).toBe(0);
    expect(io.told).toContain("SIGINT again: ending all connections.");
  });

  test("ends even when nobody takes its last lines", async () => {
    const stuck = () => new Promise<void>(() => {});
    const { io, exit, port } = await startServing({ timeouts: { drain: "0" }, log: { access: "json" } }, {}, stuck);
    expect(await askForTunnel(port, "a:b")).toBe(403);
    io.signal("SIGTERM");
    expect(await exit).toBe(0);
  });

  test("exits with 1 and names the setting when the port is taken", async () => {
    using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    const io = createFakeIo({ folder: root });
    expect(await runCli(["serve", "--listen", `127.0.0.1:${taken.port}`], io)).toBe(1);
    expect(io.told.join("\n")).toContain(`127.0.0.1:${taken.port}`);
    expect(io.told.join("\n")).toContain("listen");
  });

  test("exits with 78 when the configuration is invalid, and binds nothing", async () => {
    const io = createFakeIo({ folder: root });
    expect(await runCli(["serve", "--listen", "0.0.0.0:0"], io)).toBe(78);
    expect(io.told).toEqual([
      "Cannot use the configuration:",
      '  listen[0] (from --listen): Cannot bind 0.0.0.0:0: the listener has no users. Set "users", or "open: true" to run an open proxy.',
    ]);
  });

  test("warns of a password on the command line and of an open proxy", async () => {
    const io = createFakeIo({ folder: await mkdtemp(join(root, "s-")) });
    const exit = runCli(["--listen", "127.0.0.1:0", "--user", "a:hunter2"], io);
    await io.untilTold("Listening on");
    io.signal("SIGTERM");
    await exit;
    expect(io.told.join("\n")).toContain("The process list shows the password given with --user.");
    expect(io.told.join("\n")).not.toContain("hunter2");
    const open = await startServing({ open: true });
    open.io.signal("SIGTERM");
    await open.exit;
    expect(open.io.told).toContain("This is an open proxy. Anybody who reaches it can use it.");
  });

  test("takes a changed users file over, and keeps the users when the new one is bad", async () => {
    const hash = await Bun.password.hash("one", { algorithm: "argon2id", memoryCost: 8, timeCost: 1 });
    const { io, exit, folder, port } = await startServing({ users: { file: "users" } }, { users: `a:${hash}\n` });
    expect(await askForTunnel(port, "a:one")).toBe(403);
    expect(await askForTunnel(port, "b:one")).toBe(407);
    await Bun.write(join(folder, "new"), `b:${hash}\n`);
    await rename(join(folder, "new"), join(folder, "users"));
    await io.untilTold("Read the users of");
    expect(await askForTunnel(port, "a:one")).toBe(407);
    expect(await askForTunnel(port, "b:one")).toBe(403);
    await Bun.write(join(folder, "users"), "b:plain\n");
    await io.untilTold("The users stay as they were");
    expect(await askForTunnel(port, "b:one")).toBe(403);
    io.signal("SIGTERM");
    expect(await exit).toBe(0);
  });
});
