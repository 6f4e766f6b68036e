import type { Conn } from "../../net/conn.ts";
import type { LanePool } from "../../net/linux/lane-pool.ts";
import { DescriptorConn } from "../../net/linux/descriptor-conn.ts";
import type { Detachable } from "../../net/linux/take-over.ts";
import { SocketConn } from "../../net/socket-conn.ts";
import { carryInLane } from "./lane-engine.ts";
import { type Handover, type Promotion, relay } from "./relay.ts";
import type { TunnelWitness } from "./tunnel-witness.ts";
import type { Tunnel, TunnelEngine, TunnelOptions, TunnelResult } from "./tunnel.ts";

/**
 * The engine that every tunnel starts with: the relay, from which a plain-TCP
 * tunnel moves to a splice lane once it has carried `afterBytes` bytes. Short
 * tunnels never pay for a hand-over, long ones never pay for a copy.
 */
export function createAdaptiveEngine(lanes: LanePool, afterBytes: number): TunnelEngine {
  return (client, target, options) =>
    client.encrypted || target.encrypted
      ? relay(client, target, options)
      : new AdaptiveTunnel(lanes, afterBytes, client, target, options);
}

/** A tunnel in the relay, and then in a lane. Of the relay nothing is kept then. */
class AdaptiveTunnel implements Tunnel, Promotion {
  readonly afterBytes: number;
  readonly #lanes: LanePool;
  /** Undefined while the relay begins: it may be handed over before it is known here. */
  #current: Tunnel | undefined;

  constructor(lanes: LanePool, afterBytes: number, client: Conn, target: Conn, options: TunnelOptions) {
    this.#lanes = lanes;
    this.afterBytes = afterBytes;
    const relayed = relay(client, target, options, this);
    this.#current ??= relayed;
  }

  get done(): Promise<TunnelResult> {
    if (this.#current === undefined) throw new Error("A tunnel was asked for its end before it began");
    return this.#current.done;
  }

  bytes(): { up: number; down: number } {
    return this.#current?.bytes() ?? { up: 0, down: 0 };
  }

  kill(end: "killed" | "drained"): void {
    this.#current?.kill(end);
  }

  watch(witness: TunnelWitness): void {
    this.#current?.watch?.(witness);
  }

  /** Moves both connections to a lane; undefined when there is none or no descriptors are left for the move. */
  attempt({ client, target, idleMs, ...so }: Handover): Tunnel | undefined {
    const [near, far] = [findDetachable(client), findDetachable(target)];
    if (near === undefined || far === undefined || !this.#lanes.hasRoom()) return undefined;
    const fds = this.#lanes.takeOver(near, far);
    if (fds === undefined) return undefined;
    const [clientFd, targetFd] = fds;
    const { upFinished, downFinished } = so;
    const before = { up: so.bytesUp, down: so.bytesDown };
    this.#current = carryInLane(this.#lanes, { clientFd, targetFd, idleMs, upFinished, downFinished }, before);
    return this.#current;
  }
}

function findDetachable(conn: Conn): Detachable | undefined {
  return conn instanceof SocketConn || conn instanceof DescriptorConn ? conn.detachable : undefined;
}
