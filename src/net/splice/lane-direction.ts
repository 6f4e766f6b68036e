import {
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_PEEK,
  MSG_TRUNC,
  SPLICE_F_MOVE,
  SPLICE_F_NONBLOCK,
} from "../libc/constants.ts";
import { isTransient } from "../libc/errno.ts";
import type { Libc } from "../libc/libc.ts";
import type { SharedBudget } from "../conn/token-buckets.ts";
import type { Pipe, PipePool } from "./pipe-pool.ts";
import { finishSocket, fitReceiveWindow } from "../libc/socket.ts";

const spliceFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

/**
 * Messages up to this many bytes are cheaper to copy than to send through a
 * pipe, and so is everything while there is no pipe: the size of the one
 * buffer of a lane.
 */
export const copyBytes = 16_384;
/** What a bulk direction asks its budget for, at most a pipeful, and what stands for no limit. */
const bulkBytes = 1_048_576;
const unlimitedBytes = 0x3fff_ffff;

/** What all directions of a lane share. */
export interface LaneTools {
  readonly libc: Libc;
  readonly pipes: PipePool;
  /** `copyBytes` of memory, used within one call only. */
  readonly scratch: Uint8Array;
}

export interface LaneDirectionOptions {
  /** Descriptors of the sockets. */
  readonly source: number;
  readonly sink: number;
  /** For a direction that was over before the lane got it: FIN has come and has been passed on. */
  readonly finished: boolean;
  /** Limits the bytes. Undefined for no limit, which is nearly always. */
  readonly budget?: SharedBudget | undefined;
}

/** What a turn did. `source` and `sink` mean that the socket on that side is dead. */
export type TurnResult = "ok" | "source" | "sink";

/**
 * One direction of a tunnel: bytes from the `source` socket to the `sink`.
 *
 * Bytes are in user space only within one call; what the sink does not take
 * waits in a pipe, and without a pipe nothing is taken from the source that the
 * sink has not taken already. So a slow reader costs at most one pipe.
 */
export class LaneDirection {
  /** Bytes that the sink has taken. */
  bytes = 0;
  /** The source sent FIN and all that came before it is read. */
  ended = false;
  /** FIN went on to the sink: this direction is over. */
  finished = false;
  /** The sink takes no more for now; wait until it is writable. */
  blocked = false;
  /** Nothing more is to be read: the tunnel is about to leave the lane. */
  paused = false;
  /** Nothing is read until the budget has more. */
  parked = false;
  readonly #tools: LaneTools;
  readonly #source: number;
  readonly #sink: number;
  readonly #budget: SharedBudget | undefined;
  #pipe: Pipe | undefined;
  #held = 0;
  #bulk = false;
  /** The source's receive window has been made to fit a pipe. */
  #fitted = false;

  constructor(tools: LaneTools, { source, sink, finished, budget }: LaneDirectionOptions) {
    this.#tools = tools;
    this.#source = source;
    this.#sink = sink;
    this.#budget = budget;
    this.ended = finished;
    this.finished = finished;
  }

  /** Whether a readable source is of interest. */
  get wantsSource(): boolean {
    return !this.blocked && !this.ended && !this.paused && !this.parked;
  }

  /** Whether no byte is on the way. */
  get empty(): boolean {
    return this.#held === 0;
  }

  /** Milliseconds until it may read again, when it is parked. */
  get dueIn(): number {
    return this.#budget?.dueIn ?? 0;
  }

  /** Whether the last turn moved enough to be called a bulk transfer. */
  get isBulk(): boolean {
    return this.#bulk;
  }

  /**
   * Moves what can be moved now, up to about a pipeful. Call it when the source
   * is readable, as epoll says in an event that was not handled yet, or the sink
   * writable.
   */
  takeTurn(readable: boolean): TurnResult {
    const result = this.takeTurnWithoutEnd(readable);
    if (this.ended && !this.blocked && !this.finished && result === "ok") {
      finishSocket(this.#tools.libc, this.#sink);
      this.finished = true;
    }
    return result;
  }

  /** The same, but the end of the source's stream is not passed on: it is no end when the socket was reset. */
  takeTurnWithoutEnd(readable: boolean): TurnResult {
    this.blocked = false;
    if (this.#held > 0 && !this.#flush()) return "sink";
    if (this.blocked || this.ended || this.paused || this.parked) return "ok";
    return this.#budget === undefined
      ? this.#transfer(readable, unlimitedBytes)
      : this.#transferWithin(this.#budget, readable);
  }

  /** Takes the turn that a parked direction has waited for. */
  unpark(): TurnResult {
    this.parked = false;
    return this.takeTurn(false);
  }

  /** Gives back what it holds; bytes under way are lost. */
  drop(): void {
    if (this.#pipe !== undefined) this.#tools.pipes.discard(this.#pipe);
    this.#pipe = undefined;
    this.#held = 0;
    this.#budget?.leave();
  }

  /** Moves what the budget allows, and parks the direction when that is nothing. What is taken off the source is paid for. */
  #transferWithin(budget: SharedBudget, readable: boolean): TurnResult {
    const allowed = budget.take(this.#bulk ? bulkBytes : copyBytes);
    this.parked = allowed === 0;
    if (this.parked) return "ok";
    const before = this.bytes + this.#held;
    const result = this.#transfer(readable, allowed);
    budget.giveBack(allowed - (this.bytes + this.#held - before));
    return result;
  }

  #transfer(readable: boolean, most: number): TurnResult {
    const pipe = this.#tools.pipes.acquire();
    if (pipe === undefined) return this.#copyWithoutPipe(Math.min(copyBytes, most));
    this.#pipe = pipe;
    const result = this.#bulk ? this.#spliceThrough(pipe, readable, most) : this.#copyThrough(pipe, most);
    if (this.#held === 0) this.#releasePipe();
    return result;
  }

  /** Sends what the pipe holds. Returns false when the sink is dead. */
  #flush(): boolean {
    const pipe = this.#pipe;
    if (pipe === undefined) return true;
    const sent = this.#tools.libc.splice(pipe.readFd, this.#sink, this.#held, spliceFlags);
    if (sent < 0 && !isTransient(sent)) return false;
    this.#count(sent);
    this.#held -= Math.max(0, sent);
    // A short count means a full socket; asking again would only hear so once more.
    this.blocked = this.#held > 0;
    if (!this.blocked) this.#releasePipe();
    return true;
  }

  /**
   * The kernel's way: source → pipe → sink, no copy. `splice` does not pass an
   * urgent mark: it gives nothing there, and behind a FIN that looks like the end
   * of the stream. So a copy has the last word on whether there is more.
   */
  #spliceThrough(pipe: Pipe, readable: boolean, most: number): TurnResult {
    const received = this.#tools.libc.splice(this.#source, pipe.writeFd, Math.min(pipe.bytes, most), spliceFlags);
    if (received === 0 || (readable && isTransient(received))) return this.#copyThrough(pipe, most);
    if (received < 0) return this.#settleReceived(received);
    this.#held = received;
    // A trickle is cheaper to copy.
    if (received < copyBytes / 2) this.#bulk = false;
    return this.#flush() ? "ok" : "sink";
  }

  /** The way of small messages: one copy in and one out, without the pipe unless the sink is full. */
  #copyThrough(pipe: Pipe, most: number): TurnResult {
    const { libc, scratch } = this.#tools;
    const received = libc.receive(this.#source, scratch, Math.min(copyBytes, most), MSG_DONTWAIT);
    if (received <= 0) return this.#settleReceived(received);
    if (received === copyBytes) this.#becomeBulk(pipe);
    const sent = libc.send(this.#sink, scratch, received, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && !isTransient(sent)) return "sink";
    this.#count(sent);
    const taken = Math.max(0, sent);
    if (taken === received) return "ok";
    // An empty pipe of at least 64 KiB takes these bytes whole: one write, at most four pages.
    this.#held = libc.write(pipe.writeFd, scratch.subarray(taken, received), received - taken);
    this.blocked = true;
    return this.#held === received - taken ? "ok" : "sink";
  }

  /** The way when pipes have run out: look at the bytes, send them, and only then take as many off the source. */
  #copyWithoutPipe(most: number): TurnResult {
    const { libc, scratch } = this.#tools;
    const seen = libc.receive(this.#source, scratch, most, MSG_DONTWAIT | MSG_PEEK);
    if (seen <= 0) return this.#settleReceived(seen);
    const sent = libc.send(this.#sink, scratch, seen, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && !isTransient(sent)) return "sink";
    this.#count(sent);
    const taken = Math.max(0, sent);
    this.blocked = taken < seen;
    if (taken === 0) return "ok";
    return libc.receive(this.#source, scratch, taken, MSG_DONTWAIT | MSG_TRUNC) === taken ? "ok" : "source";
  }

  #becomeBulk(pipe: Pipe): void {
    this.#bulk = true;
    if (this.#fitted) return;
    this.#fitted = true;
    fitReceiveWindow(this.#tools.libc, this.#source, pipe.bytes);
  }

  #settleReceived(received: number): TurnResult {
    if (received === 0) this.ended = true;
    return received === 0 || isTransient(received) ? "ok" : "source";
  }

  #count(sent: number): void {
    if (sent > 0) this.bytes += sent;
  }

  #releasePipe(): void {
    if (this.#pipe !== undefined) this.#tools.pipes.release(this.#pipe);
    this.#pipe = undefined;
  }
}
