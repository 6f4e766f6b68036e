import type { LanedTunnel, LanePool, LaneSockets } from "../../net/conn/lanes.ts";
import type { KilledEnd, Tunnel, TunnelEnd, TunnelResult } from "./tunnel.ts";

/** Bytes that another engine carried before. */
export interface BytesBefore {
  readonly up: number;
  readonly down: number;
}

/** A tunnel in a splice lane. */
export interface TunnelInLane extends Tunnel {
  /** Makes the tunnel leave the lane once no byte is on the way, unless a direction has ended. */
  release(): void;
}

/** Carries on a tunnel that left its lane, with the sockets that it had there. Undefined when a socket is dead. */
export type Resume = (before: BytesBefore) => Tunnel | undefined;

/**
 * Carries the rest of a tunnel in a splice lane. Call it only right after
 * `pool.hasRoom()` returned true. The lane owns the descriptors from then on,
 * and `resume` owns them after a `release`.
 */
export function carryInLane(
  pool: LanePool,
  sockets: LaneSockets,
  before: BytesBefore = { up: 0, down: 0 },
  resume?: Resume,
): TunnelInLane {
  return new LanedTunnelBefore(pool.adopt(sockets), before, resume);
}

class LanedTunnelBefore implements TunnelInLane {
  readonly done: Promise<TunnelResult>;
  readonly #laned: LanedTunnel;
  readonly #before: BytesBefore;
  readonly #resume: Resume | undefined;
  #killedBy: KilledEnd | undefined;

  constructor(laned: LanedTunnel, before: BytesBefore, resume: Resume | undefined) {
    this.#laned = laned;
    this.#before = before;
    this.#resume = resume;
    this.done = laned.done.then((end) => {
      const { up, down } = this.bytes();
      if (end !== "released") {
        const why: TunnelEnd = end === "killed" ? (this.#killedBy ?? "killed") : end;
        return { end: why, bytesUp: up, bytesDown: down };
      }
      const resumed = resume?.({ up, down });
      if (resumed === undefined) return { end: "client_reset", bytesUp: up, bytesDown: down };
      // It may have been killed between the two engines.
      if (this.#killedBy !== undefined) resumed.kill(this.#killedBy);
      return resumed.done;
    });
  }

  bytes(): { up: number; down: number } {
    const { up, down } = this.#laned.bytes();
    return { up: this.#before.up + up, down: this.#before.down + down };
  }

  kill(end: KilledEnd): void {
    this.#killedBy = end;
    this.#laned.kill();
  }

  release(): void {
    if (this.#resume !== undefined) this.#laned.release();
  }
}
