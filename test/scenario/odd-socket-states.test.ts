import { afterAll, beforeAll, expect, test } from "bun:test";
import { IPPROTO_TCP, SOL_SOCKET, TCP_NODELAY } from "../../src/net/libc/constants.ts";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import { createAdaptiveEngine } from "../../src/proxy/flow/promotion.ts";
import { relay } from "../../src/proxy/flow/relay.ts";
import type { TunnelEngine } from "../../src/proxy/flow/tunnel.ts";
import { ask } from "../support/http-origin.ts";
import { requireLibc, startWarmLanes } from "../support/lane-stand.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { MSG_OOB, sendNow } from "../support/send-now.ts";
import { waitFor } from "../support/wait-for.ts";
import { untilAtRest } from "../support/until-at-rest.ts";
import { connectDescriptorPair } from "./tunnel-contract.ts";

let pool: LanePool;
beforeAll(async () => {
  pool = await startWarmLanes();
});
afterAll(() => pool.stop());

/** Has the kernel put an entry into the error queue of a socket for all that its peer acknowledges (timestamping.rst). */
const SO_TIMESTAMPING = 37;
const TX_ACK_IN_SOFTWARE = 0b1010_0001_0000;

const engines: readonly (readonly [string, () => TunnelEngine])[] = [
  ["the relay", () => relay],
  ["a lane", () => createAdaptiveEngine(pool, 1)],
];

test.each(engines)(
  "entries in the error queue of a socket neither end a tunnel in %s nor keep it busy",
  async (_, make) => {
    const [near, far] = [await connectDescriptorPair(), await connectDescriptorPair()];
    const { fd } = far.conn;
    requireLibc().setSocketOption(fd, SOL_SOCKET, SO_TIMESTAMPING, Int32Array.of(TX_ACK_IN_SOFTWARE));
    const tunnel = make()(near.conn, far.conn, { idleMs: 0 });
    const word = "x".repeat(5000);
    for (let round = 1; round <= 20; round += 1) {
      near.peer.write(word);
      await far.peer.untilReceived(round * word.length);
      far.peer.write(word);
      await near.peer.untilReceived(round * word.length);
    }
    await untilAtRest();
    near.peer.finish();
    far.peer.finish();
    expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 100_000, bytesDown: 100_000 });
  },
);

test.each(engines)(
  "urgent marks before a target that reads nothing do not keep a tunnel busy in %s",
  async (_, make) => {
    const [near, far] = [await connectDescriptorPair(), await connectDescriptorPair()];
    const tunnel = make()(near.conn, far.conn, { idleMs: 0 });
    near.peer.write("begun");
    await far.peer.untilText("begun");
    // Soon all windows are full, and marks go ahead of what they mark.
    far.peer.pause();
    let sent = 5;
    for (let taken = 1; taken > 0; sent += Math.max(0, taken)) {
      taken = sendNow(near.peer, new Uint8Array(65_536).fill(97), MSG_OOB);
      await Bun.sleep(1);
    }
    await untilAtRest();
    far.peer.resume();
    near.peer.finish();
    await far.peer.untilEnd();
    far.peer.finish();
    expect([far.peer.receivedBytes, (await tunnel.done).end]).toEqual([sent, "closed"]);
  },
);

test.each(["auto", "runtime"] as const)(
  "urgent bytes come in their place in tunnels and bodies, with sockets: %s",
  async (sockets) => {
    using server = listenRaw();
    await using proxy = await startProxy({ sockets });
    const { peer } = await proxy.tunnel(`127.0.0.1:${server.port}`);
    const target = await server.next();
    for (const [from, to] of [
      [peer, target],
      [target, peer],
    ] as const) {
      to.take();
      sendNow(from, "AAAA");
      sendNow(from, "!", MSG_OOB);
      sendNow(from, "BBBB");
      await to.untilText("AAAA!BBBB");
    }
    peer.reset();

    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 9\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    sendNow(client, "CCCC");
    sendNow(client, "!", MSG_OOB);
    sendNow(client, "DDDD");
    await origin.untilText("\r\n\r\nCCCC!DDDD");
    sendNow(origin, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nEEEE");
    sendNow(origin, "!", MSG_OOB);
    sendNow(origin, "FFFF");
    await client.untilText("\r\n\r\nEEEE!FFFF");
  },
);

test("a dialled connection waits for nothing with its second small write, and in a lane", async () => {
  const libc = requireLibc();
  const isPrompt = (fd: number): boolean => {
    const value = new Int32Array(1);
    libc.getSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, value);
    return value[0] === 1;
  };
  const { conn, peer } = await connectDescriptorPair();
  const { fd } = conn;
  for (const word of ["one", "two"]) conn.write(Buffer.from(word));
  expect(isPrompt(fd)).toBe(true);
  await peer.untilText("onetwo");
  conn.reset();

  const [near, far] = [await connectDescriptorPair(), await connectDescriptorPair()];
  const fds = [near.conn.fd, far.conn.fd];
  const tunnel = createAdaptiveEngine(pool, 1)(near.conn, far.conn, { idleMs: 0 });
  near.peer.write("to a lane");
  await far.peer.untilText("to a lane");
  await waitFor(() => pool.status().tunnels === 1, "the tunnel in its lane");
  expect(fds.map(isPrompt)).toEqual([true, true]);
  tunnel.kill("killed");
  await tunnel.done;
});
