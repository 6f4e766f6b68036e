import type { Budget } from "../../net/conn/budget.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { type LanePool, maxBuckets } from "../../net/conn/lanes.ts";
import { carryInLane, type Resume, type TunnelInLane } from "./lane-engine.ts";
import { type Handover, type Promotion, relay } from "./relay.ts";
import type { KilledEnd, Observer, TakenTunnel, Tunnel, TunnelEngine, TunnelOptions, TunnelResult } from "./tunnel.ts";

/** Makes a connection of a TCP socket that was connected elsewhere, and owns the descriptor from then on. */
export type AdoptSocket = (fd: number) => Conn;

/**
 * Makes the engine of a system that can splice. Every tunnel starts in the relay.
 * One in clear moves to a splice lane once it has carried `afterBytes` bytes. So
 * short tunnels do not pay for the move, and long ones do not pay for copies. An
 * observer brings it back to the relay, when `adopt` is given.
 */
export function createAdaptiveEngine(lanes: LanePool, afterBytes: number, adopt?: AdoptSocket): TunnelEngine {
  return (client, target, options) =>
    client.encrypted || target.encrypted
      ? relay(client, target, options)
      : new AdaptiveTunnel({ lanes, afterBytes, adopt }, client, target, options);
}

interface LaneUse {
  readonly lanes: LanePool;
  readonly afterBytes: number;
  readonly adopt: AdoptSocket | undefined;
}

/** A tunnel that moves between the relay and lanes. It keeps nothing of an engine that it left. */
class AdaptiveTunnel implements Tunnel, Promotion {
  readonly #use: LaneUse;
  /** Undefined while the relay begins, which may hand the tunnel over at once. */
  #current: Tunnel | undefined;
  #laned: TunnelInLane | undefined;
  /** Budgets that it has got since it was in a lane, for its return. */
  #limits: { readonly upBudget: Budget | undefined; readonly downBudget: Budget | undefined } | undefined;
  /** Observers that wait for its return from a lane. */
  #awaiting: Observer[] | undefined;

  constructor(use: LaneUse, client: Conn, target: Conn, options: TunnelOptions) {
    this.#use = use;
    const relayed = relay(client, target, options, this);
    this.#current ??= relayed;
  }

  get afterBytes(): number {
    return this.#use.afterBytes;
  }

  get done(): Promise<TunnelResult> {
    if (this.#current === undefined) throw new Error("A tunnel was asked for its end before it began");
    return this.#current.done;
  }

  bytes(): { up: number; down: number } {
    return this.#current?.bytes() ?? { up: 0, down: 0 };
  }

  kill(end: KilledEnd): void {
    this.#current?.kill(end);
  }

  get waitsFor(): number | undefined {
    return this.#current?.waitsFor;
  }

  /** A tunnel in a lane comes back for its new budgets. It goes to a lane again later. */
  limit(upBudget: Budget | undefined, downBudget: Budget | undefined): void {
    if (this.#laned === undefined) {
      this.#current?.limit?.(upBudget, downBudget);
      return;
    }
    this.#limits = { upBudget, downBudget };
    this.#laned.release();
  }

  take(hurried: boolean): TakenTunnel | undefined | Promise<TakenTunnel | undefined> {
    return this.#laned === undefined ? this.#current?.take?.(hurried) : this.#laned.take();
  }

  watch(observer: Observer): void {
    if (this.#laned === undefined) {
      this.#current?.watch?.(observer);
      return;
    }
    (this.#awaiting ??= []).push(observer);
    this.#laned.release();
  }

  /** Moves both connections to a lane. Undefined when there is no lane for them, or no descriptor is left for the move. */
  attempt({ client, target, ...handover }: Handover): Tunnel | undefined {
    const { lanes, adopt } = this.#use;
    const { idleMs, upFinished, downFinished, upBudget, downBudget, traffic } = handover;
    if (!fitsLane(upBudget, lanes) || !fitsLane(downBudget, lanes)) return undefined;
    const [near, far] = [client.detachable, target.detachable];
    if (near === undefined || far === undefined || !lanes.hasRoom()) return undefined;
    const fds = lanes.takeOver(near, far);
    if (fds === undefined) return undefined;
    const [clientFd, targetFd] = fds;
    const before = { up: handover.bytesUp, down: handover.bytesDown };
    const [upBuckets, downBuckets] = [upBudget?.buckets, downBudget?.buckets];
    const sockets = { clientFd, targetFd, idleMs, upFinished, downFinished, upBuckets, downBuckets };
    const resume: Resume | undefined =
      adopt &&
      ((taken, passed) =>
        this.#resume(adopt(taken.clientFd), adopt(taken.targetFd), {
          idleMs,
          before: passed,
          traffic,
          upBudget,
          downBudget,
        }));
    this.#laned = carryInLane(lanes, sockets, before, resume);
    this.#current = this.#laned;
    return this.#current;
  }

  /** Carries on in the relay, with the sockets that the lane gave back. */
  #resume(client: Conn, target: Conn, options: TunnelOptions): Tunnel {
    const observers = this.#awaiting;
    const limits = this.#limits;
    this.#laned = undefined;
    this.#awaiting = undefined;
    this.#limits = undefined;
    const relayed = relay(client, target, { ...options, ...limits, observers }, this);
    // The relay may have moved it to a lane again.
    if (this.#laned === undefined) this.#current = relayed;
    return relayed;
  }
}

/** Whether lanes can keep within a budget. */
function fitsLane(budget: Budget | undefined, lanes: LanePool): boolean {
  const buckets = budget?.buckets?.length ?? Infinity;
  return budget === undefined || (lanes.limits && buckets <= maxBuckets);
}
