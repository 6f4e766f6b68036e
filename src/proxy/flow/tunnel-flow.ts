import type { Budget } from "../../net/conn/budget.ts";
import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import { ACTIVE } from "../../net/conn/idle-watch.ts";
import { BULK_BYTES, type ByteTotal, Flow, WANTED_BYTES } from "./flow.ts";
import { NOTHING_SAID, type Observation } from "./observation.ts";
import type { TunnelSide } from "./tunnel.ts";

/** The tunnel of which a flow is one direction. */
export interface FlowOwner {
  /** Marks the tunnel as active when it is set to `ACTIVE`. */
  lastActivity: number;
  /** What looks at the bytes; undefined for nothing, which is nearly always. */
  observation: Observation | undefined;
  /** Both directions passed their end on. */
  readonly settled: boolean;
  readonly over: boolean;
  /** Whether the flow reads from the client. */
  isUp(flow: TunnelFlow): boolean;
  opposite(flow: TunnelFlow): TunnelFlow;
  /** The first bytes come: makes what looks at them. */
  beginTap(): Observation | undefined;
  /** Nothing is held in the flow. */
  considerPromotion(): void;
  /** A flow passed its end on. */
  settle(): void;
  /** The connection that the flow reads from is gone, and not in order. */
  sourceLost(flow: TunnelFlow): void;
}

/** One direction of a tunnel: the consumer of its source, whose FIN it passes on. */
export class TunnelFlow extends Flow implements ConnSink {
  /** The source sent FIN. */
  #ended = false;
  /** FIN was passed on. */
  finished = false;
  readonly #tunnel: FlowOwner;

  constructor(tunnel: FlowOwner, source: Conn, sink: Conn, budget: Budget | undefined, total?: ByteTotal) {
    super(total);
    this.#tunnel = tunnel;
    this.begin(source, sink, budget);
  }

  /** Goes on where the direction was before. To be called before its source is attached; `catchUp` follows after that. */
  restore(bytes: number, rest: Uint8Array | undefined, finished: boolean): void {
    this.bytes = bytes;
    if (rest !== undefined && rest.length > 0) this.hold(rest);
    if (!finished) return;
    this.#ended = true;
    this.finished = true;
    // The connection has to know that its FIN is sent. A second call does nothing to the socket.
    this.sink.shutdown();
  }

  /** Writes the bytes that waited where the direction was before. */
  catchUp(): void {
    if (this.empty) return;
    this.source.pause();
    this.flush();
  }

  /** Nothing is held: neither bytes nor an end that was not passed on. */
  get settled(): boolean {
    return this.empty && this.#ended === this.finished;
  }

  // What the source tells.

  data(chunk: Uint8Array): void {
    this.#tunnel.lastActivity = ACTIVE;
    const { observation } = this.#tunnel;
    if (observation === undefined) this.write(chunk);
    else this.#show(observation, chunk);
  }

  /** The source sent FIN, which goes on after everything before it. */
  end(): void {
    if (this.#ended) return;
    this.#tunnel.lastActivity = ACTIVE;
    this.#ended = true;
    const held = this.#tunnel.observation?.ended(this.#from);
    if (held !== undefined) this.write(held);
    if (this.empty && !this.#tunnel.over) this.#passEnd();
  }

  /** There is room for what flows to the source. */
  drain(): void {
    this.#tunnel.lastActivity = ACTIVE;
    this.#tunnel.opposite(this).flush();
  }

  close(reset: boolean): void {
    if (!reset) {
      // Gone in order: it said all it had to say and heard our FIN, or nobody can hear it any more.
      this.end();
      if (this.#tunnel.opposite(this).finished) {
        this.#tunnel.settle();
        return;
      }
    }
    this.#tunnel.sourceLost(this);
  }

  override refilled(): void {
    this.#tunnel.lastActivity = ACTIVE;
    if (this.empty) this.proceed();
    else this.flush();
  }

  /** A flow that has used its turn reads nothing until the next one: that saves a copy and an event. */
  protected override planRead(budget: Budget, before: number): void {
    const isBulk = before >= Math.min(this.source.mostPerRead ?? Infinity, BULK_BYTES);
    if (!isBulk) super.planRead(budget, before);
    else if (this.#waitsForTurn(budget)) this.source.pause();
  }

  protected override count(bytes: Uint8Array, taken: number): void {
    this.bytes += taken;
    this.total.bytes += taken;
    this.#tunnel.observation?.went(this.#to, taken < bytes.length ? bytes.subarray(0, taken) : bytes);
    if (taken === bytes.length) this.#tunnel.considerPromotion();
  }

  protected override proceed(): void {
    if (this.#tunnel.over) return;
    if (this.#ended) this.#passEnd();
    else if (this.budget === undefined || !this.#waitsForTurn(this.budget)) this.source.resume();
  }

  /** Whether nothing may move before its next turn. Reads no more in one that it has than may move. */
  #waitsForTurn(budget: Budget): boolean {
    if (this.#ended || this.#tunnel.over) return false;
    const most = budget.expect(WANTED_BYTES, this);
    if (most > 0) this.source.mostPerRead = most;
    return most === 0;
  }

  get #from(): TunnelSide {
    return this.#tunnel.isUp(this) ? "client" : "target";
  }

  get #to(): TunnelSide {
    return this.#tunnel.isUp(this) ? "target" : "client";
  }

  #show(observation: Observation, chunk: Uint8Array): void {
    const looking = observation === NOTHING_SAID ? this.#tunnel.beginTap() : observation;
    if (looking === undefined) {
      this.write(chunk);
      return;
    }
    const passed = looking.came(this.#from, chunk);
    if (looking.over) this.#tunnel.observation = undefined;
    if (passed !== undefined) this.write(passed);
  }

  #passEnd(): void {
    // It may wait for a turn that it needs no more.
    this.release();
    this.finished = true;
    this.#tunnel.observation?.finished(this.#to);
    // The second FIN goes out with the close, which saves a system call; TLS says goodbye first.
    if (this.sink.encrypted || !this.#tunnel.settled) this.sink.shutdown();
    this.#tunnel.settle();
  }
}
