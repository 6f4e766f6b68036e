import type { Budget } from "../../net/conn/budget.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { type LanePool, maxBuckets } from "../../net/conn/lanes.ts";
import { type BytesBefore, carryInLane, type TunnelInLane } from "./lane-engine.ts";
import { type Handover, type Promotion, relay } from "./relay.ts";
import type { Observer } from "./observer.ts";
import type { Tunnel, TunnelEngine, TunnelOptions, TunnelResult } from "../tunnel/tunnel.ts";

/** Makes a connection of a connected TCP socket, which is its own from then on; undefined when it is none any more. */
export type AdoptSocket = (fd: number) => Conn | undefined;

/**
 * The engine that every tunnel starts with: the relay, from which a plain-TCP
 * tunnel moves to a splice lane once it has carried `afterBytes` bytes. Short
 * tunnels never pay for a hand-over, long ones never pay for a copy. Somebody
 * who wants to watch it brings it back to the relay, where that can `adopt`
 * the sockets.
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

/** A tunnel in the relay, and then in a lane, and so on. Of the one that it has left nothing is kept. */
class AdaptiveTunnel implements Tunnel, Promotion {
  readonly #use: LaneUse;
  /** Undefined while the relay begins: it may be handed over before it is known here. */
  #current: Tunnel | undefined;
  #laned: TunnelInLane | undefined;
  /** Who wants to watch it once it is back from its lane. */
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

  kill(end: "killed" | "drained"): void {
    this.#current?.kill(end);
  }

  watch(observer: Observer): void {
    if (this.#laned === undefined) {
      this.#current?.watch?.(observer);
      return;
    }
    (this.#awaiting ??= []).push(observer);
    this.#laned.release();
  }

  /** Moves both connections to a lane; undefined when there is none or no descriptors are left for the move. */
  attempt({ client, target, ...handover }: Handover): Tunnel | undefined {
    const { lanes, adopt } = this.#use;
    const { idleMs, upFinished, downFinished, upBudget, downBudget } = handover;
    if (!fitsLane(upBudget, lanes) || !fitsLane(downBudget, lanes)) return undefined;
    const [near, far] = [client.detachable, target.detachable];
    if (near === undefined || far === undefined || !lanes.hasRoom()) return undefined;
    const fds = lanes.takeOver(near, far);
    if (fds === undefined) return undefined;
    const [clientFd, targetFd] = fds;
    const before = { up: handover.bytesUp, down: handover.bytesDown };
    const [upBuckets, downBuckets] = [upBudget?.buckets, downBudget?.buckets];
    const sockets = { clientFd, targetFd, idleMs, upFinished, downFinished, upBuckets, downBuckets };
    const resume =
      adopt &&
      ((passed: BytesBefore) =>
        this.#resume([adopt(clientFd), adopt(targetFd)], { idleMs, before: passed, upBudget, downBudget }));
    this.#laned = carryInLane(lanes, sockets, before, resume);
    this.#current = this.#laned;
    return this.#current;
  }

  /** Goes on in the relay, with the sockets that the lane gave back. */
  #resume([client, target]: readonly (Conn | undefined)[], options: TunnelOptions): Tunnel | undefined {
    const observers = this.#awaiting;
    this.#laned = undefined;
    this.#awaiting = undefined;
    if (client === undefined || target === undefined) {
      client?.reset();
      target?.reset();
      return undefined;
    }
    const relayed = relay(client, target, { ...options, observers }, this);
    // It may have left for a lane again.
    if (this.#laned === undefined) this.#current = relayed;
    return relayed;
  }
}

/** Whether lanes can keep within a budget. */
function fitsLane(budget: Budget | undefined, lanes: LanePool): boolean {
  const buckets = budget?.buckets?.length ?? Infinity;
  return budget === undefined || (lanes.limits && buckets <= maxBuckets);
}
