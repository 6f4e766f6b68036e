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
import type { Pipe, PipePool } from "./pipe-pool.ts";
import { finishSocket, fitReceiveWindow } from "../libc/socket.ts";

const spliceFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

/**
 * Messages up to this many bytes are cheaper to copy than to send through a
 * pipe, and so is everything while there is no pipe: the size of the one
 * buffer of a lane.
 */
export const copyBytes = 16_384;

/** What all directions of a lane share. */
export interface LaneTools {
  readonly libc: Libc;
  readonly pipes: PipePool;
  /** `copyBytes` of memory, used within one call only. */
  readonly scratch: Uint8Array;
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
  moved = 0;
  /** The source sent FIN and all that came before it is read. */
  ended = false;
  /** FIN went on to the sink: this direction is over. */
  finished = false;
  /** The sink takes no more for now; wait until it is writable. */
  blocked = false;
  /** Nothing more is to be read: the tunnel is about to leave the lane. */
  resting = false;
  readonly #tools: LaneTools;
  readonly #source: number;
  readonly #sink: number;
  #pipe: Pipe | undefined;
  #held = 0;
  #bulk = false;
  /** The source's receive window has been made to fit a pipe. */
  #fitted = false;

  /** `finished` is for a direction that was over before the lane got it: FIN has come and has been passed on. */
  constructor(tools: LaneTools, source: number, sink: number, finished: boolean) {
    this.#tools = tools;
    this.#source = source;
    this.#sink = sink;
    this.ended = finished;
    this.finished = finished;
  }

  /** Whether a readable source is of interest. */
  get wantsSource(): boolean {
    return !this.blocked && !this.ended && !this.resting;
  }

  /** Whether no byte is on the way. */
  get empty(): boolean {
    return this.#held === 0;
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
    return this.blocked || this.ended || this.resting ? "ok" : this.#transfer(readable);
  }

  /** Gives back what it holds; bytes under way are lost. */
  drop(): void {
    if (this.#pipe !== undefined) this.#tools.pipes.discard(this.#pipe);
    this.#pipe = undefined;
    this.#held = 0;
  }

  #transfer(readable: boolean): TurnResult {
    const pipe = this.#tools.pipes.acquire();
    if (pipe === undefined) return this.#copyWithoutPipe();
    this.#pipe = pipe;
    const result = this.#bulk ? this.#spliceThrough(pipe, readable) : this.#copyThrough(pipe);
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
  #spliceThrough(pipe: Pipe, readable: boolean): TurnResult {
    const received = this.#tools.libc.splice(this.#source, pipe.writeFd, pipe.bytes, spliceFlags);
    if (received === 0 || (readable && isTransient(received))) return this.#copyThrough(pipe);
    if (received < 0) return this.#settleReceived(received);
    this.#held = received;
    // A trickle is cheaper to copy.
    if (received < copyBytes / 2) this.#bulk = false;
    return this.#flush() ? "ok" : "sink";
  }

  /** The way of small messages: one copy in and one out, without the pipe unless the sink is full. */
  #copyThrough(pipe: Pipe): TurnResult {
    const { libc, scratch } = this.#tools;
    const received = libc.receive(this.#source, scratch, copyBytes, MSG_DONTWAIT);
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
  #copyWithoutPipe(): TurnResult {
    const { libc, scratch } = this.#tools;
    const seen = libc.receive(this.#source, scratch, copyBytes, MSG_DONTWAIT | MSG_PEEK);
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
    if (sent > 0) this.moved += sent;
  }

  #releasePipe(): void {
    if (this.#pipe !== undefined) this.#tools.pipes.release(this.#pipe);
    this.#pipe = undefined;
  }
}
