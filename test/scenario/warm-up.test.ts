import { afterEach, expect, spyOn, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { runCli } from "../../src/cli/run-cli.ts";
import type { Conn } from "../../src/net/conn/conn.ts";
import { createInProcessNetwork, type InProcessNetwork } from "../../src/net/epoll/in-process-network.ts";
import { createAuthenticator } from "../../src/proxy/auth/authenticate.ts";
import { createUserStore } from "../../src/proxy/auth/user-store.ts";
import { relay } from "../../src/proxy/flow/relay.ts";
import type { Runtime } from "../../src/proxy/runtime.ts";
import { Secret } from "../../src/secret.ts";
import { startWarmUp } from "../../src/gate/warm-up.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { plentyOfDescriptors } from "../support/plenty-of-descriptors.ts";
import { allowLoopback, startProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const gc = spyOn(Bun, "gc");
requireReactor();
const atRest = countSockets();
afterEach(async () => {
  gc.mockClear();
  await waitFor(() => countSockets() === atRest, "the last socket of the test to go");
});

/** A network that counts the connections to the first listener, which is the proxy's. */
function countConnections(): InProcessNetwork & { readonly connections: () => number; readonly clients: Conn[] } {
  const network = createInProcessNetwork(requireReactor());
  let connections = 0;
  const clients: Conn[] = [];
  return {
    clients,
    listen: network.listen,
    connect: (target, done) => {
      if (target.port !== 1) return network.connect(target, done);
      connections += 1;
      return network.connect(target, (result) => {
        if (result.ok) clients.push(result.conn);
        done(result);
      });
    },
    connections: () => connections,
  };
}

/** Starts a warm-up. Without clients, unless it is told that there are some. */
function warmUp(runtime: Partial<Runtime> = {}) {
  const network = countConnections();
  const clients = { came: false };
  const stop = startWarmUp({
    runtime: { ...compileForTest({}).runtime, ...runtime },
    accessFormat: "json",
    tunnel: relay,
    network,
    descriptors: plentyOfDescriptors,
    hasClients: () => clients.came,
  });
  return { connections: network.connections, conns: network.clients, clients, stop };
}

function countSockets(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      // The list includes the descriptor that it was read with.
      return false;
    }
  }).length;
}

test("a warm-up ends by itself, gives its memory back and leaves no socket", async () => {
  const { connections } = warmUp();
  await waitFor(() => gc.mock.calls.length > 0, "the end of the warm-up");
  expect(connections()).toBeGreaterThan(20);
  await waitFor(() => countSockets() === atRest, "its last socket to go");
});

test("the tunnels of a warm-up carry a message and end with a FIN each way, as those of clients", async () => {
  const { conns } = warmUp();
  await waitFor(() => gc.mock.calls.length > 0, "the end of the warm-up");
  const [conn] = conns;
  expect(conn?.bytesRead).toBeGreaterThan(64);
  expect(conn?.ended).toBe(true);
});

test("a warm-up of a proxy with users logs in", async () => {
  const made = createUserStore([{ name: "ada", password: new Secret("of her own") }]);
  if (!made.ok) throw new Error("These users are right");
  const { connections, stop } = warmUp({ authenticator: createAuthenticator({ users: made.store }) });
  // The first connection that is refused would be the last.
  await waitFor(() => connections() > 20, "more connections");
  await stop();
});

test("a warm-up drops what it does when a client comes, and goes on when that was a health check", async () => {
  const { connections, clients, stop } = warmUp();
  await waitFor(() => connections() > 20, "some connections");
  clients.came = true;
  await waitFor(() => countSockets() === atRest, "its last socket to go");
  const then = connections();
  clients.came = false;
  await waitFor(() => connections() > then, "another connection");
  await stop();
});

test("a warm-up that is stopped opens no further connection and collects no garbage", async () => {
  const { connections, stop } = warmUp();
  await waitFor(() => connections() > 0, "a connection");
  const then = connections();
  await stop();
  await waitFor(() => countSockets() === atRest, "its last socket to go");
  expect(connections()).toBe(then);
  expect(gc).not.toHaveBeenCalled();
});

test("nothing of a warm-up shows in the log, the metrics or the tables, and no function of the configuration is asked", async () => {
  let asked = 0;
  const ask = (): undefined => void (asked += 1);
  await using proxy = await startProxy({ rules: [ask, allowLoopback] });
  const measure = async (): Promise<string> =>
    (await proxy.metrics())
      .split("\n")
      .filter((line) => line.startsWith("penstock_") && !line.startsWith("penstock_sidecar_"))
      .join("\n");
  const before = await measure();
  const sockets = countSockets();
  proxy.daemon.warmUp();
  await waitFor(() => countSockets() > sockets, "the first connection");
  const during = await measure();
  expect(during).toBe(before);
  await waitFor(() => gc.mock.calls.length > 0, "the end of the warm-up");
  expect(await measure()).toBe(before);
  expect(proxy.records).toEqual([]);
  expect(proxy.messages).toEqual([]);
  expect(asked).toBe(0);
});

test("a client that comes during the warm-up is served, and ends it", async () => {
  using echo = listenEcho();
  await using proxy = await startProxy();
  const before = countSockets();
  proxy.daemon.warmUp();
  await waitFor(() => countSockets() > before, "the first connection");
  const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
  expect(head).toStartWith("HTTP/1.1 200 ");
  peer.write("hello");
  await peer.untilText("hello");
  // Of the tunnel: both ends at the client, the proxy and the server.
  await waitFor(() => countSockets() === before + 4, "the sockets of the warm-up to go");
  peer.finish();
  await peer.untilEnd();
  expect((await proxy.record())["bytes_up"]).toBe(5);
  expect(gc).not.toHaveBeenCalled();
});

test.each([
  ["auto", 1],
  ["off", 0],
] as const)("serve with warmUp %s begins %d warm-up", async (setting, begun) => {
  await using folder = await makeFolder({
    "proxy.config.json": { listen: ["127.0.0.1:0"], splice: "off", warmUp: setting },
  });
  const timers = spyOn(globalThis, "setInterval");
  const io = createFakeIo({ folder: folder.path });
  const exit = runCli([], io);
  await io.untilTold("Listening on");
  // It looks a hundred times a second; nothing else of the proxy does.
  expect(timers.mock.calls.filter(([, ms]) => ms === 10)).toHaveLength(begun);
  timers.mockRestore();
  io.signal("SIGTERM");
  expect(await exit).toBe(0);
});
