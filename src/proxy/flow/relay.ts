import type { Budget } from "../../net/conn/budget.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { ACTIVE, type Watched } from "../../net/conn/idle-watch.ts";
import type { Traffic } from "./flow.ts";
import { NOTHING_SAID, Observation } from "./observation.ts";
import type {
  KilledEnd,
  Observer,
  TakenTunnel,
  TapPort,
  Tunnel,
  TunnelEnd,
  TunnelOptions,
  TunnelOwner,
  TunnelResult,
} from "./tunnel.ts";
import { type FlowOwner, TunnelFlow } from "./tunnel-flow.ts";

/** What the relay knows at the moment when another engine may take over: no byte is in its hands. */
export interface Handover {
  readonly client: Conn;
  readonly target: Conn;
  readonly idleMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** FINs that were passed on already. */
  readonly upFinished: boolean;
  readonly downFinished: boolean;
  readonly upBudget: Budget | undefined;
  readonly downBudget: Budget | undefined;
  readonly traffic: Traffic;
}

export interface Promotion {
  /** Bytes in both directions together after which a tunnel is worth handing over. */
  readonly afterBytes: number;
  /** Takes both connections and carries on, or leaves them as they are and gives undefined. */
  attempt(handover: Handover): Tunnel | undefined;
}

/**
 * Carries bytes between two detached connections in user space: a flow each way.
 *
 * With `promotion`, a tunnel that has moved enough bytes is handed over at a
 * moment when no flow holds any. While `options.tap` looks, every chunk is shown
 * to it before it goes on, and the tunnel is not handed over; nor is it while an
 * observer watches.
 */
export function relay(client: Conn, target: Conn, options: TunnelOptions, promotion?: Promotion): Tunnel {
  return new Relay(client, target, options, promotion);
}

class Relay implements Tunnel, FlowOwner, TapPort, Watched {
  lastActivity: number = ACTIVE;
  observation: Observation | undefined;
  readonly #up: TunnelFlow;
  readonly #down: TunnelFlow;
  readonly #owner: TunnelOwner | undefined;
  readonly #idleMs: number;
  readonly #promotion: Promotion | undefined;
  /** Bytes at which the next attempt to hand the tunnel over is made. */
  #promoteAt: number;
  #state: "begins" | "runs" | "over" = "begins";
  #result: TunnelResult | undefined;
  /** Made when somebody asks for it: whoever owns the tunnel is told without. */
  #done: PromiseWithResolvers<TunnelResult> | undefined;

  constructor(client: Conn, target: Conn, options: TunnelOptions, promotion: Promotion | undefined) {
    const { before, tap, observers, traffic } = options;
    this.#owner = options.owner;
    this.#idleMs = options.idleMs;
    this.#promotion = promotion;
    this.#promoteAt = (promotion?.afterBytes ?? Infinity) + (before === undefined ? 0 : before.up + before.down);
    this.#up = new TunnelFlow(this, client, target, options.upBudget, traffic?.up);
    this.#down = new TunnelFlow(this, target, client, options.downBudget, traffic?.down);
    if (before !== undefined) {
      this.lastActivity = before.lastActivity ?? ACTIVE;
      this.#up.restore(before.up, before.upRest, before.upFinished === true);
      this.#down.restore(before.down, before.downRest, before.downFinished === true);
    }
    client.timers.idle.watch(this, options.idleMs);
    this.observation = tap === undefined ? undefined : new Observation(tap);
    if (options.tappedLater === true) this.observation = NOTHING_SAID;
    if (observers !== undefined) for (const observer of observers) this.watch(observer);
    tap?.begin(this);
    // What waited on either side is delivered here, in order, before anything new.
    client.attach(this.#up);
    if (!this.over) target.attach(this.#down);
    if (before !== undefined && !this.over) this.#catchUp();
    if (!this.over) this.#state = "runs";
  }

  get done(): Promise<TunnelResult> {
    this.#done ??= Promise.withResolvers();
    if (this.#result !== undefined) this.#done.resolve(this.#result);
    return this.#done.promise;
  }

  bytes(): { up: number; down: number } {
    return { up: this.#up.bytes, down: this.#down.bytes };
  }

  kill(end: KilledEnd): void {
    this.#finish(end);
  }

  get waitsFor(): number | undefined {
    return this.#up.budget?.waitsFor ?? this.#down.budget?.waitsFor;
  }

  limit(up: Budget | undefined, down: Budget | undefined): void {
    if (this.over) return;
    this.#up.limit(up);
    if (!this.over) this.#down.limit(down);
  }

  expire(): void {
    // One that waits for its budget has something to move.
    if (this.#up.isParked || this.#down.isParked) this.lastActivity = ACTIVE;
    else this.#finish("idle_timeout");
  }

  take(hurried: boolean): TakenTunnel | undefined {
    const [client, target] = [this.#up.source, this.#down.source];
    // A dead one does not leave: the tunnel ends here, as it would have.
    if (this.#state !== "runs" || !canLeave(client) || !canLeave(target)) return undefined;
    if (this.observation?.letGo(hurried) === false) return undefined;
    this.#state = "over";
    this.#stopWaiting();
    this.observation?.moved();
    this.observation = undefined;
    const [near, far] = [client.takeDescriptor?.(), target.takeDescriptor?.()];
    if (near === undefined || far === undefined) throw new Error("A living connection did not give its descriptor");
    return {
      clientFd: near.fd,
      targetFd: far.fd,
      before: {
        ...this.bytes(),
        upRest: joinRests(this.#up.takeRest(), near.unread),
        downRest: joinRests(this.#down.takeRest(), far.unread),
        upFinished: this.#up.finished,
        downFinished: this.#down.finished,
        lastActivity: this.lastActivity,
      },
    };
  }

  watch(observer: Observer): void {
    if (this.over) return;
    if (this.observation === NOTHING_SAID) this.beginTap();
    const observation = (this.observation ??= new Observation(undefined));
    observation.add(observer);
    observer.begin({
      ends: { client: this.#up.source, target: this.#down.source },
      passed: this.bytes(),
      lookAway: () => {
        observation.remove(observer);
        if (observation.over && this.observation === observation) this.observation = undefined;
      },
    });
  }

  // What the flows ask and tell.

  get over(): boolean {
    return this.#state === "over";
  }

  get settled(): boolean {
    return this.#up.finished && this.#down.finished;
  }

  isUp(flow: TunnelFlow): boolean {
    return flow === this.#up;
  }

  opposite(flow: TunnelFlow): TunnelFlow {
    return flow === this.#up ? this.#down : this.#up;
  }

  beginTap(): Observation | undefined {
    const tap = this.#owner?.makeTap?.();
    this.observation = tap && new Observation(tap);
    tap?.begin(this);
    return this.observation;
  }

  considerPromotion(): void {
    if (this.#up.bytes + this.#down.bytes >= this.#promoteAt) this.#promote();
  }

  settle(): void {
    if (this.settled) this.#finish("closed");
  }

  sourceLost(flow: TunnelFlow): void {
    this.#finish(flow === this.#up ? "client_reset" : "target_reset");
  }

  // What the tap asks for.

  pass(bytes: Uint8Array): void {
    this.#up.write(bytes);
  }

  /** Ends what a rule denies. A client that was sent `lastWords` keeps its connection, for the owner to close: nothing half said is before them. */
  refuse(lastWords: Uint8Array): void {
    const begins = this.#state === "begins";
    if (!this.#leave()) return;
    const [client, target] = [this.#up.source, this.#down.source];
    const isTold = lastWords.length > 0 && this.#down.settled && client.write(lastWords) === lastWords.length;
    if (!isTold) {
      // RST behind the FIN also reaches a client that goes on sending after the other side's end.
      client.shutdown();
      client.reset();
    }
    if (this.#up.bytes === 0) target.close();
    else target.reset();
    this.#conclude("denied", begins);
  }

  /** Hands the tunnel over if no byte is held on the way, and nobody looks. */
  #promote(): void {
    const { source: client, bytes: bytesUp, finished: upFinished, budget: upBudget } = this.#up;
    const { source: target, bytes: bytesDown, finished: downFinished, budget: downBudget } = this.#down;
    if (this.over || !this.#up.settled || !this.#down.settled) return;
    if (this.observation?.allowsPromotion === false) return;
    if (client.closed || target.closed || client.unreadBytes > 0 || target.unreadBytes > 0) return;
    // After an attempt that failed the next one is as far away as the first one was.
    this.#promoteAt = bytesUp + bytesDown + (this.#promotion?.afterBytes ?? Infinity);
    const handover = { client, target, idleMs: this.#idleMs, bytesUp, bytesDown, upFinished, downFinished };
    const traffic = { up: this.#up.total, down: this.#down.total };
    const successor = this.#promotion?.attempt({ ...handover, upBudget, downBudget, traffic });
    if (successor === undefined) return;
    this.#state = "over";
    this.#stopWaiting();
    tellEndOf(successor, this.#owner, this.#done);
  }

  /** Ends in order, or at once with RST wherever the connection still stands. */
  #finish(end: TunnelEnd): void {
    const begins = this.#state === "begins";
    if (!this.#leave()) return;
    if (end === "closed") {
      this.#up.source.close();
      this.#down.source.close();
    } else {
      this.#up.source.reset();
      this.#down.source.reset();
    }
    this.#conclude(end, begins);
  }

  /** Lets both connections go. False when that was done before. */
  #leave(): boolean {
    if (this.over) return false;
    this.#state = "over";
    this.#stopWaiting();
    this.observation?.closeTap();
    this.#up.source.detach();
    this.#down.source.detach();
    return true;
  }

  #catchUp(): void {
    this.#up.catchUp();
    this.#down.catchUp();
  }

  #stopWaiting(): void {
    this.#up.source.timers.idle.unwatch(this, this.#idleMs);
    this.#up.release();
    this.#down.release();
  }

  /** The owner of a tunnel that ends as it `begins` has yet to be given it. */
  #conclude(end: TunnelEnd, begins: boolean): void {
    this.observation?.end(end);
    this.observation = undefined;
    const result = { end, bytesUp: this.#up.bytes, bytesDown: this.#down.bytes };
    this.#result = result;
    this.#done?.resolve(result);
    const owner = this.#owner;
    if (owner === undefined) return;
    if (begins) tellLater(owner, result);
    else owner.tunnelOver(result);
  }
}

// Apart from the methods that call them: a function in those would cost every chunk, or every tunnel.

/** The relay before it, and its connections, are not held on to. */
function tellEndOf(
  successor: Tunnel,
  owner: TunnelOwner | undefined,
  done: PromiseWithResolvers<TunnelResult> | undefined,
): void {
  void successor.done.then((result) => {
    owner?.tunnelOver(result);
    done?.resolve(result);
  });
}

function tellLater(owner: TunnelOwner, result: TunnelResult): void {
  queueMicrotask(() => owner.tunnelOver(result));
}

/** Whether a connection can be taken away: it lives, and is in clear over a socket of our own. */
function canLeave(conn: Conn): boolean {
  return conn.takeDescriptor !== undefined && conn.detachable !== undefined;
}

/** What a direction holds: first what its sink did not take, then what its source has not given. */
function joinRests(first: Uint8Array | undefined, second: Uint8Array | undefined): Uint8Array | undefined {
  return first === undefined || second === undefined ? (first ?? second) : Buffer.concat([first, second]);
}
