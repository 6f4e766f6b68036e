import { readdirSync } from "node:fs";
import type { LanedTunnel } from "../../src/net/conn/lanes.ts";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import type { LanePoolOptions } from "../../src/net/splice/lane-pool.ts";
import { requireLibc, startWarmLanes } from "./lane-stand.ts";
import { connectRaw, listenRaw, type RawPeer } from "./raw-peer.ts";
import { takeFromRuntime } from "./take-from-runtime.ts";

/** A tunnel in a lane and the peers at both of its ends. */
export interface LanedStand {
  readonly client: RawPeer;
  readonly target: RawPeer;
  readonly tunnel: LanedTunnel;
}

/** Makes a TCP connection: one end for the test, of the other the descriptor. */
export async function connectToDescriptor(): Promise<{ peer: RawPeer; fd: number }> {
  using server = listenRaw();
  const [near, far] = await Promise.all([connectRaw(server.port), server.next()]);
  server.stop();
  return { peer: near, fd: takeDescriptor(far) };
}

/** Takes the connection of a peer out of Bun. */
export function takeDescriptor({ socket }: RawPeer): number {
  return takeFromRuntime(requireLibc(), socket);
}

/** Puts a tunnel into a lane. Throws when there is no room for it. */
export async function standInLane(pool: LanePool, idleMs = 0): Promise<LanedStand> {
  const [client, target] = await Promise.all([connectToDescriptor(), connectToDescriptor()]);
  if (!pool.hasRoom()) throw new Error("The lanes have no room for a test's tunnel.");
  const tunnel = pool.adopt({ clientFd: client.fd, targetFd: target.fd, idleMs });
  return { client: client.peer, target: target.peer, tunnel };
}

/** Runs a test with lanes of its own and stops them afterwards, whatever happens. */
export async function withLanes(options: LanePoolOptions, run: (pool: LanePool) => Promise<void>): Promise<void> {
  const pool = await startWarmLanes(options);
  try {
    await run(pool);
  } finally {
    await pool.stop();
  }
}

/** Descriptors that this process has open. */
export function countDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Waits until `condition` holds; throws after a minute without. */
export async function waitUntil(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${what}.`);
    await Bun.sleep(5);
  }
}
