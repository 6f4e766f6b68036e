import type { LanePool } from "../../net/linux/lane-pool.ts";
import { SocketConn } from "../../net/socket-conn.ts";
import { carryInLane } from "./lane-engine.ts";
import { type Handover, type Promotion, relay } from "./relay.ts";
import type { Tunnel, TunnelEngine } from "./tunnel.ts";

/**
 * The engine that every tunnel starts with: the relay, from which a plain-TCP
 * tunnel moves to a splice lane once it has carried `afterBytes` bytes. Short
 * tunnels never pay for a hand-over, long ones never pay for a copy.
 */
export function createAdaptiveEngine(lanes: LanePool, afterBytes: number): TunnelEngine {
  const promotion: Promotion = { afterBytes, attempt: (handover) => promote(lanes, handover) };
  return (client, target, options) =>
    relay(client, target, options, client.encrypted || target.encrypted ? undefined : promotion);
}

/** Moves both connections to a lane; undefined when there is none or no descriptors are left for the move. */
function promote(lanes: LanePool, handover: Handover): Tunnel | undefined {
  const { client, target, idleMs, upFinished, downFinished } = handover;
  if (!(client instanceof SocketConn && target instanceof SocketConn)) return undefined;
  if (!lanes.hasRoom()) return undefined;
  const fds = lanes.takeOver(client.detachable, target.detachable);
  if (fds === undefined) return undefined;
  const [clientFd, targetFd] = fds;
  const before = { up: handover.bytesUp, down: handover.bytesDown };
  return carryInLane(lanes, { clientFd, targetFd, idleMs, upFinished, downFinished }, before);
}
