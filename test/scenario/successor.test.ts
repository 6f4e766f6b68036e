import { describe, expect, test } from "bun:test";
import type { Successor } from "../../src/handover/successor.ts";
import { takeOver } from "../support/fake-successor.ts";
import { type Config, expectServes, startOld, successorsOf } from "../support/handover-stand.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

/** Connects until nobody listens. */
async function untilRefused(port: number, host: string): Promise<void> {
  for (;;) {
    try {
      (await connectRaw(port, host))[Symbol.dispose]();
    } catch {
      return;
    }
    await Bun.sleep(5);
  }
}

/** Hands over to a second proxy in this process. */
async function handOverTo(config: Config, oldConfig: Config): Promise<{ old: TestProxy; next: TestProxy }> {
  const arrived = Promise.withResolvers<Successor>();
  const old = await startOld((fake) => arrived.resolve(takeOver(fake)), oldConfig);
  const outcome = old.daemon.handOver("SIGUSR2");
  const taken = Promise.withResolvers<void>();
  const next = await startProxy(config, {
    daemon: { successor: await arrived.promise, onTakenOver: () => taken.resolve() },
  });
  expect((await outcome).kind).toBe("done");
  await taken.promise;
  return { old, next };
}

describe("a successor", () => {
  test("serves on the sockets of the old process, ports that the system chose included", async () => {
    using echo = listenEcho();
    const config = { listen: [{ port: 0 }, { port: 0 }] };
    const { old, next } = await handOverTo(config, config);
    await using _ = old;
    await using __ = next;
    const ports = (proxy: TestProxy) => proxy.daemon.listeners.map(({ port }) => port);
    expect(ports(next)).toEqual(ports(old));
    expect(next.daemon.sidecar?.port).toBe(old.daemon.sidecar?.port);
    await old.daemon.ended;
    await expectServes(next, echo.port);
    await next.record();
    expect(old.records).toEqual([]);
  });

  test("has the Unix socket of the sidecar at once, and keeps it when the old process ends", async () => {
    using echo = listenEcho();
    await using folder = await makeFolder({});
    const unix = `${folder.path}/sidecar.sock`;
    const config = { sidecar: { unix, token: "scenario-token" } };
    const arrived = Promise.withResolvers<Successor>();
    await using old = await startOld((fake) => arrived.resolve(takeOver(fake)), config);
    const { peer } = await old.tunnel(`127.0.0.1:${echo.port}`);
    const health = async () => (await fetch("http://localhost/readyz", { unix })).status;
    const outcome = old.daemon.handOver("SIGUSR2");
    await using next = await startProxy(config, { daemon: { successor: await arrived.promise } });
    expect((await outcome).kind).toBe("done");
    expect(await health()).toBe(200);
    peer[Symbol.dispose]();
    await old.daemon.ended;
    expect(await health()).toBe(200);
    await next.daemon.stop();
    expect(await health().catch(() => "gone")).toBe("gone");
  });

  test("closes a listener that its configuration does not have, and binds one that the old one did not have", async () => {
    using echo = listenEcho();
    await using folder = await makeFolder({});
    const [kept, removed] = [{ port: 0 }, { port: 0, host: "127.0.0.2" }];
    const added = { port: 0, host: "127.0.0.3" };
    const sidecar = { unix: `${folder.path}/s.sock` };
    const { old, next } = await handOverTo({ listen: [kept, added], sidecar }, { listen: [kept, removed], sidecar });
    await using _ = old;
    await using __ = next;
    const gone = old.daemon.listeners[1]?.port ?? 0;
    await expect(connectRaw(gone, "127.0.0.2")).rejects.toThrow();
    const [first, second] = next.daemon.listeners;
    expect(first?.port).toBe(old.port);
    (await connectRaw(second?.port ?? 0, "127.0.0.3"))[Symbol.dispose]();
    const { peer } = await next.tunnel(`127.0.0.1:${echo.port}`);
    peer[Symbol.dispose]();
  });

  test("frees the port of a listener that a reload removes, while the old process still has a tunnel", async () => {
    using echo = listenEcho();
    const config = { listen: [{ port: 0 }, { port: 0, host: "127.0.0.2" }] };
    const arrived = Promise.withResolvers<Successor>();
    await using old = await startOld((fake) => arrived.resolve(takeOver(fake)), config);
    const { peer } = await old.tunnel(`127.0.0.1:${echo.port}`);
    const outcome = old.daemon.handOver("SIGUSR2");
    await using next = await startProxy(config, { daemon: { successor: await arrived.promise } });
    expect((await outcome).kind).toBe("done");
    const port = next.daemon.listeners[1]?.port ?? 0;
    (await connectRaw(port, "127.0.0.2"))[Symbol.dispose]();
    expect((await next.reload({ listen: [{ port: 0 }] })).kind).toBe("done");
    await untilRefused(port, "127.0.0.2");
    peer.write("still here");
    await peer.untilText("still here");
    peer[Symbol.dispose]();
  });

  test("that cannot bind a listener ends, and the old process has lost nothing", async () => {
    using echo = listenEcho();
    using taken = listenEcho();
    const arrived = Promise.withResolvers<Successor>();
    await using old = await startOld((fake) => arrived.resolve(takeOver(fake)));
    const outcome = old.daemon.handOver("SIGUSR2");
    const successor = await arrived.promise;
    const message = await startProxy(
      { listen: [{ port: 0 }, { port: taken.port }], sidecar: undefined },
      { daemon: { successor } },
    ).then(
      () => "started",
      (error: Error) => error.message,
    );
    expect(message).toContain("the port is in use");
    await successor.fail(1, [message]);
    expect(await outcome).toMatchObject({ kind: "failed", code: 1, problems: [message] });
    await expectServes(old, echo.port);
  });

  test("takes over from the one that took over", async () => {
    using echo = listenEcho();
    const arrived = Promise.withResolvers<Successor>();
    const last = Promise.withResolvers<Successor>();
    await using old = await startOld((fake) => arrived.resolve(takeOver(fake)));
    const first = old.daemon.handOver("SIGUSR2");
    await using next = await startProxy(
      {},
      {
        daemon: {
          ...successorsOf((fake) => last.resolve(takeOver(fake))).daemon,
          successor: await arrived.promise,
        },
      },
    );
    expect((await first).kind).toBe("done");
    const second = next.daemon.handOver("SIGUSR2");
    await using third = await startProxy({}, { daemon: { successor: await last.promise } });
    expect((await second).kind).toBe("done");
    await Promise.all([old.daemon.ended, next.daemon.ended]);
    expect(third.port).toBe(old.port);
    await expectServes(third, echo.port);
  });

  test("serves on when the old process dies in the middle", async () => {
    using echo = listenEcho();
    const arrived = Promise.withResolvers<Successor>();
    await using old = await startOld((fake) => arrived.resolve(takeOver(fake)));
    void old.daemon.handOver("SIGUSR2");
    const successor = await arrived.promise;
    // As when it dies: everything that it has open is closed.
    await old.daemon.stop();
    const taken = Promise.withResolvers<void>();
    await using next = await startProxy({}, { daemon: { successor, onTakenOver: () => taken.resolve() } });
    await taken.promise;
    expect(next.port).toBe(old.port);
    expect(next.messages.join("\n")).toContain("is gone before it had handed over everything. This process serves on.");
    await expectServes(next, echo.port);
  });
});
