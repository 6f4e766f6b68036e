import type { LanedTunnel, LanePool, LaneSockets, LeftLane } from "../../net/conn/lanes.ts";
import type { KilledEnd, TakenTunnel, Tunnel, TunnelBefore, TunnelEnd, TunnelResult } from "./tunnel.ts";

/** A tunnel in a splice lane. */
export interface TunnelInLane extends Tunnel {
  /** Makes the tunnel leave the lane. */
  release(): void;
  take(): Promise<TakenTunnel | undefined>;
}

/** Carries on a tunnel that left its lane, and owns its sockets. */
export type Resume = (sockets: Pick<LeftLane, "clientFd" | "targetFd">, before: TunnelBefore) => Tunnel;

/**
 * Carries the rest of a tunnel in a splice lane. Call it only right after
 * `pool.hasRoom()` returned true. The lane owns the descriptors from then on,
 * and `resume` owns them after a `release`, or the caller of `take` does.
 */
export function carryInLane(
  pool: LanePool,
  sockets: LaneSockets,
  before: Pick<TunnelBefore, "up" | "down"> = { up: 0, down: 0 },
  resume?: Resume,
): TunnelInLane {
  return new LanedTunnelBefore(pool.adopt(sockets), before, resume);
}

class LanedTunnelBefore implements TunnelInLane {
  readonly done: Promise<TunnelResult>;
  readonly #laned: LanedTunnel;
  readonly #before: Pick<TunnelBefore, "up" | "down">;
  readonly #resume: Resume | undefined;
  #killedBy: KilledEnd | undefined;
  /** Whoever waits to take it. */
  #taker: PromiseWithResolvers<TakenTunnel | undefined> | undefined;
  #over = false;

  constructor(laned: LanedTunnel, before: Pick<TunnelBefore, "up" | "down">, resume: Resume | undefined) {
    this.#laned = laned;
    this.#before = before;
    this.#resume = resume;
    this.done = laned.done.then((end) => this.#finish(end));
  }

  bytes(): { up: number; down: number } {
    const { up, down } = this.#laned.bytes();
    return { up: this.#before.up + up, down: this.#before.down + down };
  }

  get waitsFor(): number | undefined {
    return this.#laned.waitsFor;
  }

  kill(end: KilledEnd): void {
    this.#killedBy = end;
    this.#laned.kill();
  }

  release(): void {
    if (this.#resume !== undefined) this.#laned.release();
  }

  take(): Promise<TakenTunnel | undefined> {
    if (this.#over || this.#resume === undefined) return Promise.resolve(undefined);
    this.#taker ??= Promise.withResolvers();
    this.release();
    return this.#taker.promise;
  }

  #finish(end: Awaited<LanedTunnel["done"]>): TunnelResult | Promise<TunnelResult> {
    this.#over = true;
    const { left } = this.#laned;
    if (left !== undefined && this.#resume !== undefined) return this.#leave(left, this.#resume);
    this.#taker?.resolve(undefined);
    const { up, down } = this.bytes();
    const why = end === "killed" ? (this.#killedBy ?? "killed") : (end as TunnelEnd);
    return { end: why, bytesUp: up, bytesDown: down };
  }

  #leave(left: LeftLane, resume: Resume): Promise<TunnelResult> {
    const { clientFd, targetFd, idleForMs, ...rest } = left;
    const before = { ...this.bytes(), ...rest, lastActivity: performance.now() - idleForMs };
    // It may have been killed between the two engines.
    if (this.#taker !== undefined && this.#killedBy === undefined) {
      this.#taker.resolve({ clientFd, targetFd, before });
      // Its end is told elsewhere.
      return new Promise(() => {});
    }
    this.#taker?.resolve(undefined);
    const resumed = resume(left, before);
    if (this.#killedBy !== undefined) resumed.kill(this.#killedBy);
    return resumed.done;
  }
}
