import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { ServiceManager } from "../../src/net/service-manager.ts";
import { openTunnel } from "../support/ask-tunnel.ts";
import { createFakeIo, type FakeIo } from "../support/fake-io.ts";
import { listenNotify } from "../support/notify-socket.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** Runs `penstock serve` in this process, under a service manager. */
function serve(folder: string, variables: Readonly<Record<string, string>>): { io: FakeIo; exit: Promise<number> } {
  const io = createFakeIo({ folder, variables });
  return { io, exit: runCli([], io) };
}

const loopback = { listen: ["127.0.0.1:0"], rules: [{ to: ["127.0.0.1"], allowPrivate: true }] };

describe("a service manager", () => {
  test.each([
    ["at a path", (folder: string) => `${folder}/notify`],
    ["at an abstract name", (folder: string) => `@penstock-test${folder}`],
  ])("%s hears that the proxy is ready, once it accepts, and that it stops", async (_, locate) => {
    await using folder = await makeFolder({ "proxy.config.json": loopback });
    const at = locate(folder.path);
    using manager = listenNotify(at);
    const { io, exit } = serve(folder.path, { NOTIFY_SOCKET: at });
    const [ready, status] = await manager.until("READY=1");
    expect(ready).toBe("READY=1");
    expect(status).toMatch(/^STATUS=Serving on 127\.0\.0\.1:[0-9]+\.$/);
    (await connectRaw(Number(status?.match(/:([0-9]+)\.$/)?.[1])))[Symbol.dispose]();
    expect(manager.messages).toEqual([["READY=1", status ?? ""]]);
    io.signal("SIGTERM");
    expect(await exit).toBe(0);
    expect(manager.messages.slice(1).flat()).toContain("STOPPING=1");
  });

  test("hears of a reload, and that the proxy is ready again, whether the file is good or not", async () => {
    await using folder = await makeFolder({ "proxy.config.json": loopback });
    using manager = listenNotify(`${folder.path}/notify`);
    const { io, exit } = serve(folder.path, { NOTIFY_SOCKET: `${folder.path}/notify` });
    await io.untilTold("Listening on");
    for (const [file, told, status] of [
      [{ listen: 5.5 }, "Cannot use", /^STATUS=Serving on \S+ The last reload failed: the journal says why\.$/],
      [{ ...loopback, timeouts: { idle: "1m" } }, "Reloaded.", /^STATUS=Serving on \S+$/],
    ] as const) {
      await folder.write({ "proxy.config.json": file });
      manager.messages.length = 0;
      io.signal("SIGHUP");
      await manager.until("RELOADING=1");
      const [, said] = await manager.until("READY=1");
      expect(said).toMatch(status);
      expect(manager.messages.map(([first]) => first)).toEqual(["RELOADING=1", "READY=1"]);
      await io.untilTold(told);
    }
    io.signal("SIGTERM");
    expect(await exit).toBe(0);
  });

  test("hears nothing of a proxy that cannot bind its listener", async () => {
    using taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    await using folder = await makeFolder({ "proxy.config.json": { listen: [`127.0.0.1:${taken.port}`] } });
    using manager = listenNotify(`${folder.path}/notify`);
    const { exit } = serve(folder.path, { NOTIFY_SOCKET: `${folder.path}/notify` });
    expect(await exit).toBe(1);
    expect(manager.messages).toEqual([]);
  });

  test("hears what a drain waits for, and gets time for it", async () => {
    using echo = listenEcho();
    await using folder = await makeFolder({ "proxy.config.json": { ...loopback, timeouts: { drain: "1h" } } });
    using manager = listenNotify(`${folder.path}/notify`);
    const { io, exit } = serve(folder.path, { NOTIFY_SOCKET: `${folder.path}/notify` });
    const line = await io.untilTold("Listening on");
    using client = await openTunnel(Number(line.match(/:([0-9]+)\.$/)?.[1]), `127.0.0.1:${echo.port}`);
    io.signal("SIGTERM");
    const [status, extend] = await manager.until("EXTEND_TIMEOUT_USEC=");
    expect(status).toMatch(/^STATUS=Draining: 1 tunnel, oldest [0-9.]+ m?s, 60 min left\.$/);
    expect(Number(extend?.split("=")[1])).toBeGreaterThan(3_600_000_000);
    client.finish();
    expect(await exit).toBe(0);
  });

  test("is fed by its watchdog's time, and only for the process that it means", async () => {
    await using folder = await makeFolder({ "proxy.config.json": loopback });
    using manager = listenNotify(`${folder.path}/notify`);
    using other = listenNotify(`${folder.path}/other`);
    const watchdog = { WATCHDOG_USEC: "20000" };
    const fed = serve(folder.path, { NOTIFY_SOCKET: `${folder.path}/notify`, ...watchdog });
    const not = serve(folder.path, { NOTIFY_SOCKET: `${folder.path}/other`, ...watchdog, WATCHDOG_PID: "1" });
    await manager.until("WATCHDOG=1");
    await other.until("READY=1");
    const count = () => manager.messages.filter(([line]) => line === "WATCHDOG=1").length;
    const before = count();
    while (count() < before + 3) await Bun.sleep(5);
    expect(other.messages.flat()).not.toContain("WATCHDOG=1");
    for (const { io } of [fed, not]) io.signal("SIGTERM");
    await Promise.all([fed.exit, not.exit]);
  });

  test("at a name that is none is told, and the proxy serves", async () => {
    await using folder = await makeFolder({ "proxy.config.json": loopback });
    const { io, exit } = serve(folder.path, { NOTIFY_SOCKET: "vsock:2:1234" });
    await io.untilTold("Cannot use NOTIFY_SOCKET");
    await io.untilTold("Listening on");
    io.signal("SIGTERM");
    expect(await exit).toBe(0);
  });

  test("that is not there is told once, and the proxy serves", async () => {
    await using folder = await makeFolder({ "proxy.config.json": loopback });
    const { io, exit } = serve(folder.path, { NOTIFY_SOCKET: `${folder.path}/nobody` });
    await io.untilTold("Listening on");
    io.signal("SIGTERM");
    expect(await exit).toBe(0);
    expect(io.told.filter((line) => line.includes("NOTIFY_SOCKET"))).toEqual([
      "Cannot tell the service manager anything at NOTIFY_SOCKET: the system says ENOENT.",
    ]);
  });
});

describe("a message to a service manager", () => {
  test("that says the configuration is being read has the time of the monotonic clock", async () => {
    await using folder = await makeFolder({});
    using socket = listenNotify(`${folder.path}/notify`);
    ServiceManager.open(`${folder.path}/notify`, () => {})?.reloading();
    const [reloading, usec] = await socket.until("RELOADING=1");
    expect(reloading).toBe("RELOADING=1");
    // Beside suspended time, /proc/uptime shows the same clock.
    const uptime = Number((await Bun.file("/proc/uptime").text()).split(" ")[0]);
    expect(Number(usec?.replace("MONOTONIC_USEC=", ""))).toBeWithin(1, (uptime + 1) * 1_000_000);
  });

  test("is sent later, in order, when the manager is too slow to take it", async () => {
    await using folder = await makeFolder({});
    using socket = listenNotify(`${folder.path}/notify`);
    const manager = ServiceManager.open(`${folder.path}/notify`, () => {});
    const count = 40;
    for (let number = 0; number < count; number += 1) manager?.send({ STATUS: String(number) });
    await socket.until(`STATUS=${count - 1}`);
    expect(socket.messages.flat()).toEqual(Array.from({ length: count }, (_, number) => `STATUS=${number}`));
  });

  test("keeps a line break out of its fields", async () => {
    await using folder = await makeFolder({});
    using socket = listenNotify(`${folder.path}/notify`);
    ServiceManager.open(`${folder.path}/notify`, () => {})?.send({ STATUS: "one\nREADY=1" });
    expect(await socket.until("STATUS=one READY=1")).toEqual(["STATUS=one READY=1"]);
  });
});
