import type { LanePool } from "../../src/net/conn/lanes.ts";
import { startLanes, type LanePoolOptions } from "../../src/net/splice/lane-pool.ts";
import { openLibc, type Libc } from "../../src/net/libc/libc.ts";
import { SocketConn } from "../../src/net/runtime/socket-conn.ts";
import type { Conn } from "../../src/net/conn/conn.ts";
import { carryInLane } from "../../src/proxy/flow/lane-engine.ts";
import type { TunnelEngine } from "../../src/proxy/flow/tunnel.ts";
import { takeFromRuntime } from "./take-from-runtime.ts";

/** The C library, or an error that says why a test of lanes cannot run here. */
export function requireLibc(): Libc {
  const libc = openLibc();
  if (libc === undefined) throw new Error("These tests need Linux with a known C library.");
  return libc;
}

/** Lanes with at least one thread running. */
export async function startWarmLanes(options: LanePoolOptions = {}): Promise<LanePool> {
  const result = startLanes({ lanes: 1, ...options });
  if (!result.ok) throw new Error(result.reason);
  await result.pool.warm();
  return result.pool;
}

/** An engine that moves every tunnel to a lane before its first byte. */
export function laneFromTheStart(choosePool: () => LanePool): TunnelEngine {
  const libc = requireLibc();
  return (client, target, { idleMs }) => {
    const pool = choosePool();
    const before = { up: deliverWaiting(client, target), down: deliverWaiting(target, client) };
    if (!pool.hasRoom()) throw new Error("The lanes have no room for a test's tunnel.");
    const clientFd = takeOverConn(libc, client);
    return carryInLane(pool, { clientFd, targetFd: takeOverConn(libc, target), idleMs }, before);
  };
}

function takeOverConn(libc: Libc, conn: Conn): number {
  if (!(conn instanceof SocketConn)) throw new Error("Only a plain socket can be moved to a lane.");
  return takeFromRuntime(libc, conn.socket);
}

/** Passes on what waits in user space and returns how much that was. */
function deliverWaiting(from: Conn, to: Conn): number {
  let bytes = 0;
  from.attach({
    data(chunk) {
      bytes += to.write(chunk);
    },
    end: () => undefined,
    drain: () => undefined,
    close: () => undefined,
  });
  from.detach();
  return bytes;
}
