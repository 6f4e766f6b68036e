import { SOL_SOCKET } from "../../src/net/linux/constants.ts";
import { openTunnel } from "./ask-tunnel.ts";
import { makeKeystream } from "./keystream.ts";
import { requireLibc } from "./lane-stand.ts";
import { driveTunnel, type Random } from "./random-tunnel.ts";
import { listenRaw, type RawPeer, type RawServer } from "./raw-peer.ts";

/** The proxy that is tried. */
export interface BurstProxy {
  readonly port: number;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
}

const TUNNELS = 24;
const SO_RCVBUF = 8;
const BYTES = 8 * 1024 * 1024;
let stream: Uint8Array | undefined;

/**
 * Makes the proxy find this in one list of events, which it reads after it was
 * stopped for a moment: clients of `TUNNELS` tunnels that have room again, so
 * that the tunnels can go to a lane; as many new clients; and the resets of the
 * targets of those tunnels. The lane closes their descriptors while the event
 * loop still has the resets in its list, and the new clients get their numbers.
 *
 * `holdBack` has the tunnels stay where they are until what it gives is called.
 * Throws when a new client's tunnel suffers from it. Gives how many tunnels there were.
 */
export async function burstOfEnds(
  proxy: BurstProxy,
  random: Random,
  holdBack: () => Promise<() => Promise<void>>,
): Promise<number> {
  using origins = new DisposableStack();
  const source = origins.use(listenRaw());
  const innocent = Array.from({ length: TUNNELS }, () => origins.use(listenRaw()));
  const letGo = await holdBack();
  const full = await fillTunnels(proxy, source);
  await letGo();
  proxy.signal("SIGSTOP");
  let opening: Promise<RawPeer>[];
  try {
    for (const { client } of full) {
      setReceiveBuffer(client, 1_048_576);
      client.resume();
    }
    await untilStill(() => full.reduce((sum, { client }) => sum + client.receivedBytes, 0));
    opening = innocent.map((origin) => openTunnel(proxy.port, `127.0.0.1:${origin.port}`));
    await Bun.sleep(20);
    for (const { target } of full) target.reset();
    await Bun.sleep(10);
  } finally {
    proxy.signal("SIGCONT");
  }
  const newcomers = await Promise.all(opening);
  await Promise.all(newcomers.map((client, at) => carryInnocent(client, innocent[at], random)));
  for (const { client } of full) {
    await client.until((peer) => peer.closed, "the reset of a full tunnel", 60_000);
    if (client.end !== "reset") throw new Error(`The reset of a target became a ${client.end}`);
    expectBeginning(client.received);
  }
  return 2 * TUNNELS;
}

interface Full {
  readonly client: RawPeer;
  readonly target: RawPeer;
}

/** Opens tunnels whose clients do not read, and writes until nothing moves any more. */
async function fillTunnels(proxy: BurstProxy, source: RawServer): Promise<Full[]> {
  stream ??= Buffer.concat(Array.from(makeKeystream(BYTES)));
  const bytes = stream;
  // Which client has which target does not matter: all have the same to say, and the same end.
  const full = await Promise.all(
    Array.from({ length: TUNNELS }, async () => {
      const client = await openTunnel(proxy.port, `127.0.0.1:${source.port}`);
      setReceiveBuffer(client, 8192);
      client.pause();
      const target = await source.next();
      target.write(bytes);
      return { client, target };
    }),
  );
  await untilStill(() => full.reduce((sum, { target }) => sum + target.unwrittenBytes, 0));
  if (full.some(({ target }) => target.unwrittenBytes === 0)) throw new Error("A tunnel took all that there is");
  return full;
}

function setReceiveBuffer(peer: RawPeer, bytes: number): void {
  const { fd } = peer.socket as unknown as { fd: number };
  requireLibc().setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, Int32Array.of(bytes));
}

async function carryInnocent(client: RawPeer, origin: RawServer | undefined, random: Random): Promise<void> {
  const target = await origin?.next();
  if (target !== undefined) await driveTunnel(client, target, random);
}

/** Waits until a number stays the same for a while, but for no longer than the peers of a stopped proxy may wait. */
async function untilStill(read: () => number): Promise<void> {
  for (let [looks, last, same] = [0, -1, 0]; looks < 100 && same < 10; looks += 1) {
    await Bun.sleep(10);
    const now = read();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}

function expectBeginning(received: Uint8Array): void {
  const beginning = stream?.subarray(0, received.length);
  if (beginning === undefined || Bun.hash(beginning) !== Bun.hash(received))
    throw new Error(`The ${received.length} bytes that arrived are not those that were written`);
}
