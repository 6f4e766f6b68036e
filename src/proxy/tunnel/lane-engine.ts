import type { LanePool } from "../../net/linux/lane-pool.ts";
import type { LanedTunnel, LaneSockets } from "../../net/linux/lane.ts";
import type { Tunnel, TunnelEnd, TunnelResult } from "./tunnel.ts";

/** Bytes that were carried before the lane took over. */
export interface BytesBefore {
  readonly up: number;
  readonly down: number;
}

/**
 * Carries the rest of a tunnel in a splice lane. To be called only right after
 * `pool.hasRoom()` said yes; the descriptors are the lane's from then on.
 */
export function carryInLane(pool: LanePool, sockets: LaneSockets, before: BytesBefore = { up: 0, down: 0 }): Tunnel {
  return new TunnelInLane(pool.adopt(sockets), before);
}

class TunnelInLane implements Tunnel {
  readonly done: Promise<TunnelResult>;
  readonly #laned: LanedTunnel;
  readonly #before: BytesBefore;
  #killedBy: TunnelEnd = "killed";

  constructor(laned: LanedTunnel, before: BytesBefore) {
    this.#laned = laned;
    this.#before = before;
    this.done = laned.done.then((end) => {
      const { up, down } = this.bytes();
      return { end: end === "killed" ? this.#killedBy : end, bytesUp: up, bytesDown: down };
    });
  }

  bytes(): { up: number; down: number } {
    const { up, down } = this.#laned.bytes();
    return { up: this.#before.up + up, down: this.#before.down + down };
  }

  kill(end: "killed" | "drained"): void {
    this.#killedBy = end;
    this.#laned.kill();
  }
}
