import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import { closeLingering } from "../read/close-lingering.ts";
import { ACTIVE, unwatchIdle, type Watched, watchIdle } from "./idle-watch.ts";
import type { TapPort, TunnelTap } from "./tap.ts";
import type { TunnelSide, Observer } from "./observer.ts";
import type { Tunnel, TunnelEnd, TunnelOptions, TunnelOwner, TunnelResult } from "../tunnel/tunnel.ts";

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
}

export interface Promotion {
  /** Bytes in both directions together after which a tunnel is worth handing over. */
  readonly afterBytes: number;
  /** Takes both connections and carries on, or leaves them as they are and gives undefined. */
  attempt(handover: Handover): Tunnel | undefined;
}

/**
 * Carries bytes between two detached connections in user space: read, write
 * what fits, keep the rest and pause the reader until there is room again. At
 * most one chunk waits per direction, whatever the peers do.
 *
 * With `promotion`, a tunnel that has moved enough bytes is handed over at a
 * moment when none of them is held here. While `options.tap` looks, every chunk
 * is shown to it before it goes on, and the tunnel is not handed over; nor is it
 * while somebody watches.
 */
export function relay(client: Conn, target: Conn, options: TunnelOptions, promotion?: Promotion): Tunnel {
  return new Relay(client, target, options, promotion);
}

class Relay implements Tunnel, TapPort, Watched {
  readonly #up: Direction;
  readonly #down: Direction;
  readonly #owner: TunnelOwner | undefined;
  readonly #idleMs: number;
  readonly #promotion: Promotion | undefined;
  /** Bytes at which the next attempt to hand the tunnel over is made. */
  #promoteAt: number;
  /** What looks at the chunks that come; undefined once it has seen enough. */
  #tap: TunnelTap | undefined;
  /** Who sees what passes; undefined for nobody, which is nearly always. */
  #observers: Set<Observer> | undefined;
  #state: "begins" | "runs" | "over" = "begins";
  #result: TunnelResult | undefined;
  /** Made when somebody asks for it: whoever owns the tunnel is told without. */
  #done: PromiseWithResolvers<TunnelResult> | undefined;
  lastActivity: number = ACTIVE;

  constructor(client: Conn, target: Conn, options: TunnelOptions, promotion: Promotion | undefined) {
    this.#owner = options.owner;
    this.#idleMs = options.idleMs;
    this.#promotion = promotion;
    const { before } = options;
    this.#promoteAt = (promotion?.afterBytes ?? Infinity) + (before === undefined ? 0 : before.up + before.down);
    this.#up = new Direction(this, client, target, true);
    this.#down = new Direction(this, target, client, false);
    if (before !== undefined) {
      this.#up.bytes = before.up;
      this.#down.bytes = before.down;
    }
    watchIdle(this, options.idleMs);
    if (options.observers !== undefined) for (const observer of options.observers) this.watch(observer);
    this.#tap = options.tap;
    this.#tap?.begin(this);
    // What waited on either side is delivered here, in order, before anything new.
    client.attach(this.#up);
    if (!this.over) target.attach(this.#down);
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

  kill(end: "killed" | "drained"): void {
    this.#finish(end);
  }

  expire(): void {
    this.#finish("idle_timeout");
  }

  watch(observer: Observer): void {
    if (this.over) return;
    (this.#observers ??= new Set()).add(observer);
    observer.begin({
      ends: { client: this.#up.source, target: this.#down.source },
      passed: this.bytes(),
      lookAway: () => {
        this.#observers?.delete(observer);
        if (this.#observers?.size === 0) this.#observers = undefined;
      },
    });
  }

  /** Tells those who watch, if anybody does, of the first `length` of these bytes. */
  tell(what: "came" | "went", side: TunnelSide, bytes: Uint8Array, length: number): void {
    if (this.#observers === undefined) return;
    const passed = length < bytes.length ? bytes.subarray(0, length) : bytes;
    for (const observer of this.#observers) observer[what](side, passed);
  }

  /** Tells of a FIN, that came from a side or was sent to it. */
  tellEnd(what: "ended" | "finished", side: TunnelSide): void {
    if (this.#observers === undefined) return;
    for (const observer of this.#observers) observer[what](side);
  }

  touch(): void {
    this.lastActivity = ACTIVE;
  }

  get over(): boolean {
    return this.#state === "over";
  }

  /** The other way through the tunnel. */
  opposite(way: Direction): Direction {
    return way.isUp ? this.#down : this.#up;
  }

  /** Shows a chunk to the tap, if there is one, and gives what may go on of it, and of what was held before. */
  show(chunk: Uint8Array, way: Direction): Uint8Array | undefined {
    const tap = this.#tap;
    if (tap === undefined) return chunk;
    const passed = way.isUp ? tap.up(chunk) : tap.down(chunk);
    if (tap.done) this.#tap = undefined;
    return passed;
  }

  /** Tells the tap that the client said its last word, and gives what may go on of what was held. */
  showEnd(way: Direction): Uint8Array | undefined {
    return way.isUp ? this.#tap?.upEnd() : undefined;
  }

  /** Hands the tunnel over if that is due and no byte is held on the way. */
  considerPromotion(): void {
    const { bytes: up, finished: upFinished, source: client } = this.#up;
    const { bytes: down, finished: downFinished, source: target } = this.#down;
    if (up + down < this.#promoteAt || this.over || !this.#up.empty || !this.#down.empty) return;
    if ((this.#tap !== undefined && !this.#tap.done) || this.#observers !== undefined) return;
    if (client.closed || target.closed || client.unreadBytes > 0 || target.unreadBytes > 0) return;
    // After an attempt that failed the next one is as far away as the first one was.
    this.#promoteAt = up + down + (this.#promotion?.afterBytes ?? Infinity);
    const handover = { client, target, idleMs: this.#idleMs, bytesUp: up, bytesDown: down, upFinished, downFinished };
    const successor = this.#promotion?.attempt(handover);
    if (successor === undefined) return;
    this.#state = "over";
    unwatchIdle(this, this.#idleMs);
    tellEndOf(successor, this.#owner, this.#done);
  }

  /** Both directions have ended in order: the tunnel is over once nothing is left to say. */
  settle(): void {
    if (this.settled) this.#finish("closed");
  }

  get settled(): boolean {
    return this.#up.finished && this.#down.finished;
  }

  /** Ends at once with RST wherever the connection still stands. */
  abort(end: TunnelEnd): void {
    this.#finish(end);
  }

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

  /** Lets bytes go on that the tap held. */
  pass(bytes: Uint8Array): void {
    this.#up.pass(bytes);
  }

  /** Ends what a rule denies: in order where that leaves nothing half said, so that the client can hear `lastWords`. */
  refuse(lastWords: Uint8Array): void {
    const begins = this.#state === "begins";
    if (!this.#leave()) return;
    const [client, target] = [this.#up.source, this.#down.source];
    if (lastWords.length > 0 && this.#down.empty && client.write(lastWords) === lastWords.length) {
      closeLingering(client);
    } else {
      // With RST behind the FIN also those hear of it who could go on sending after the other side's end.
      client.shutdown();
      client.reset();
    }
    if (this.#up.bytes === 0) target.close();
    else target.reset();
    this.#conclude("denied", begins);
  }

  /** Takes the hands off both connections. False when that was done before. */
  #leave(): boolean {
    if (this.over) return false;
    this.#state = "over";
    unwatchIdle(this, this.#idleMs);
    this.#tap?.close();
    this.#up.source.detach();
    this.#down.source.detach();
    return true;
  }

  /** The owner of a tunnel that ends as it `begins` has yet to hear that there is one. */
  #conclude(end: TunnelEnd, begins: boolean): void {
    if (this.#observers !== undefined) for (const observer of this.#observers) observer.over(end);
    this.#observers = undefined;
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

/** One way through the tunnel: from `source`, whose consumer it is, to the other connection. */
class Direction implements ConnSink {
  bytes = 0;
  /** FIN was passed on. */
  finished = false;
  readonly source: Conn;
  /** From client to target. */
  readonly isUp: boolean;
  readonly #relay: Relay;
  readonly #sink: Conn;
  /** What the sink's socket did not take yet. */
  #rest: Uint8Array | undefined;
  #ending = false;

  constructor(relayed: Relay, source: Conn, sink: Conn, isUp: boolean) {
    this.#relay = relayed;
    this.source = source;
    this.#sink = sink;
    this.isUp = isUp;
  }

  get #from(): TunnelSide {
    return this.isUp ? "client" : "target";
  }

  get #to(): TunnelSide {
    return this.isUp ? "target" : "client";
  }

  // What the source tells.

  data(chunk: Uint8Array): void {
    this.#relay.touch();
    this.#relay.tell("came", this.#from, chunk, chunk.length);
    const passed = this.#relay.show(chunk, this);
    if (passed !== undefined) this.pass(passed);
  }

  /** The source sent FIN: pass it on, after everything before it. */
  end(): void {
    if (this.#ending) return;
    this.#relay.touch();
    this.#ending = true;
    this.#relay.tellEnd("ended", this.#from);
    const held = this.#relay.showEnd(this);
    if (held !== undefined) this.pass(held);
    if (this.#rest === undefined && !this.#relay.over) this.#passEnd();
  }

  /** There is room for what flows to the source. */
  drain(): void {
    this.#relay.opposite(this).#flush();
  }

  close(reset: boolean): void {
    if (!reset) {
      // Gone in order: it said all it had to say and heard our FIN, or nobody can hear it any more.
      this.end();
      if (this.#relay.opposite(this).finished) {
        this.#relay.settle();
        return;
      }
    }
    this.#relay.abort(this.isUp ? "client_reset" : "target_reset");
  }

  /** Sends bytes on; what does not fit waits and stops the source. */
  pass(chunk: Uint8Array): void {
    const taken = this.#sink.write(chunk);
    // Closed for writing: the sink's own `close` is on its way and says how.
    if (taken < 0) return;
    this.bytes += taken;
    this.#relay.tell("went", this.#to, chunk, taken);
    if (taken < chunk.length) {
      this.#rest = new Uint8Array(chunk.subarray(taken));
      this.source.pause();
    } else {
      this.#relay.considerPromotion();
    }
  }

  /** The sink has room again. */
  #flush(): void {
    const rest = this.#rest;
    if (rest === undefined) return;
    this.#relay.touch();
    const taken = this.#sink.write(rest);
    if (taken < 0) return;
    this.bytes += taken;
    this.#relay.tell("went", this.#to, rest, taken);
    if (taken < rest.length) {
      this.#rest = rest.subarray(taken);
      return;
    }
    this.#rest = undefined;
    this.#relay.considerPromotion();
    if (this.#ending) this.#passEnd();
    else this.source.resume();
  }

  /** Nothing is held: neither bytes nor an end that was not passed on. */
  get empty(): boolean {
    return this.#rest === undefined && this.#ending === this.finished;
  }

  #passEnd(): void {
    this.finished = true;
    this.#relay.tellEnd("finished", this.#to);
    // The second FIN goes out with the close, which saves a system call; TLS says goodbye first.
    if (this.#sink.encrypted || !this.#relay.settled) this.#sink.shutdown();
    this.#relay.settle();
  }
}
