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
import type { SharedBudget } from "../conn/shared-budget.ts";
import type { Pipe, PipePool } from "./pipe-pool.ts";
import { finishSocket, fitReceiveWindow } from "../libc/socket.ts";

const spliceFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

/**
 * Messages up to this many bytes are cheaper to copy than to splice, and without
 * a pipe everything is copied. The size of a lane's one buffer.
 */
export const copyBytes = 16_384;
/** What a bulk direction asks its budget for: at most a pipeful. */
const bulkBytes = 1_048_576;
/** Pipefuls that a direction with a budget moves in one go: as much as a turn of many has. */
const turnPipefuls = 4;
/** Pipefuls that a near source may have sent ahead of a turn; it sends the rest meanwhile. */
const aheadPipefuls = 2;
/** A direction that moved this part of what it was allowed could have moved the rest: pipes hold less than their size when packets are small. */
const USED = 7 / 8;
/** Stands for no limit. */
const unlimitedBytes = 0x3fff_ffff;

/** What all directions of a lane share. */
export interface LaneTools {
  readonly libc: Libc;
  readonly pipes: PipePool;
  /** `copyBytes` of memory. Its content is valid within one call only. */
  readonly scratch: Uint8Array;
}

export interface LaneDirectionOptions {
  /** Descriptors of the sockets. */
  readonly source: number;
  readonly sink: number;
  /** The FIN came and was passed on before the lane got the tunnel. */
  readonly finished: boolean;
  /** Limits the bytes. Undefined for no limit, which is nearly always. */
  readonly budget?: SharedBudget | undefined;
}

/** The result of a turn. `source` and `sink`: the socket on that side is dead. */
export type TurnResult = "ok" | "source" | "sink";

/**
 * One direction of a tunnel: bytes from the `source` socket to the `sink`.
 *
 * What the sink does not take waits in a pipe. Without a pipe, bytes are taken
 * from the source only after the sink took them. So a slow reader costs at most
 * one pipe. The contract is that of `Flow`, which moves bytes in user space.
 */
export class LaneDirection {
  /** Bytes that the sink has taken. */
  bytes = 0;
  /** The source sent FIN, and everything before it was read. */
  ended = false;
  /** FIN was passed on to the sink: this direction is over. */
  finished = false;
  /** The sink is full: nothing is read until it is writable. */
  blocked = false;
  /** Nothing is read until the budget has more. */
  parked = false;
  readonly #tools: LaneTools;
  readonly #source: number;
  readonly #sink: number;
  readonly #budget: SharedBudget | undefined;
  #pipe: Pipe | undefined;
  #held = 0;
  #bulk = false;
  /** The source's receive window was fitted to a pipe. */
  #fitted = false;

  constructor(tools: LaneTools, { source, sink, finished, budget }: LaneDirectionOptions) {
    this.#tools = tools;
    this.#source = source;
    this.#sink = sink;
    this.#budget = budget;
    this.ended = finished;
    this.finished = finished;
  }

  /** Whether it reads when its source is readable. */
  get wantsSource(): boolean {
    return !this.blocked && !this.ended && !this.parked;
  }

  /** Bytes that are on the way, all of them in its pipe. */
  get held(): number {
    return this.#held;
  }

  /** The bucket that it waits for, when it is parked. */
  get waitsFor(): number | undefined {
    return this.#budget?.waitsFor;
  }

  /** Milliseconds until its budget is due: it may read again, or gives back what it did not use. Infinity when neither is. */
  get dueIn(): number {
    return this.#budget?.dueIn ?? Infinity;
  }

  /** Its budget is due: takes the turn that it has waited for, or ends its last one. */
  meetBudget(): TurnResult {
    if (!this.parked) {
      this.#budget?.returnCredit();
      return "ok";
    }
    this.parked = false;
    return this.takeTurn(false);
  }

  /** Whether the last turn moved enough to be called a bulk transfer. */
  get isBulk(): boolean {
    return this.#bulk;
  }

  /**
   * Moves what can be moved now, up to about a pipeful, or a turn of its budget. Call it when the sink is
   * writable, or the source is `readable` by an event that was not handled yet.
   */
  takeTurn(readable: boolean): TurnResult {
    const result = this.takeTurnWithoutEnd(readable);
    if (this.ended && !this.blocked && !this.finished && result === "ok") {
      finishSocket(this.#tools.libc, this.#sink);
      this.finished = true;
    }
    return result;
  }

  /** As `takeTurn`, but does not pass the end of the stream on: after a reset it is no end. */
  takeTurnWithoutEnd(readable: boolean): TurnResult {
    this.blocked = false;
    if (this.#held > 0 && !this.#flush()) return "sink";
    if (this.blocked || this.ended || this.parked) return "ok";
    return this.#budget === undefined
      ? this.#transfer(readable, unlimitedBytes)
      : this.#transferWithin(this.#budget, readable);
  }

  /** Gives back what it holds. Bytes in its pipe are lost. */
  drop(): void {
    if (this.#pipe !== undefined) this.#tools.pipes.discard(this.#pipe);
    this.#pipe = undefined;
    this.#held = 0;
    this.#budget?.leave();
  }

  /** Gives away the pipe with the bytes that are on the way: its reading end belongs to the caller. Undefined when there are none. */
  surrenderPipe(): number | undefined {
    const pipe = this.#pipe;
    if (pipe === undefined || this.#held === 0) return undefined;
    this.#pipe = undefined;
    this.#held = 0;
    return this.#tools.pipes.surrender(pipe);
  }

  /**
   * Moves what the budget allows, up to a whole turn: to come back for each pipeful
   * costs more than the pipeful. Parks the direction when that is nothing. Bytes
   * count when they are taken off the source.
   */
  #transferWithin(budget: SharedBudget, readable: boolean): TurnResult {
    // One that has to wait waits for what it has: a newcomer with much would else have a small turn first.
    if (!this.#bulk && readable && budget.expect(copyBytes, false) === 0 && this.#seesBulk()) this.#bulk = true;
    for (let pipefuls = 0; pipefuls < turnPipefuls; pipefuls += 1) {
      const wanted = this.#bulk ? bulkBytes : copyBytes;
      const allowed = budget.take(wanted);
      this.parked = allowed === 0;
      if (this.parked) return "ok";
      const before = this.bytes + this.#held;
      // The event counts for the first of them: whether there is more than that is not known.
      const result = this.#transfer(readable && pipefuls === 0, allowed);
      const moved = this.bytes + this.#held - before;
      budget.giveBack(allowed - moved);
      if (moved < allowed * USED || result !== "ok" || this.blocked || this.ended) return result;
      // It used what it took, and there is probably more: to wait for the next turn at once saves an event.
      this.parked = budget.expect(wanted, true) === 0;
      if (this.parked || !this.#bulk) return "ok";
    }
    return "ok";
  }

  #transfer(readable: boolean, most: number): TurnResult {
    const pipe = this.#tools.pipes.acquire();
    if (pipe === undefined) return this.#copyWithoutPipe(Math.min(copyBytes, most));
    this.#pipe = pipe;
    if (this.#bulk && !this.#fitted) this.#fit(pipe);
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
    // A short count means a full socket: another call would fail.
    this.blocked = this.#held > 0;
    if (!this.blocked) this.#releasePipe();
    return true;
  }

  /**
   * Source → pipe → sink in the kernel, without a copy. `splice` stops at an
   * urgent mark and returns what the end of the stream returns. So a copy decides
   * whether there is more.
   */
  #spliceThrough(pipe: Pipe, readable: boolean, most: number): TurnResult {
    const received = this.#tools.libc.splice(this.#source, pipe.writeFd, Math.min(pipe.bytes, most), spliceFlags);
    if (received === 0 || (readable && isTransient(received))) return this.#copyThrough(pipe, most);
    if (received < 0) return this.#settleReceived(received);
    this.#held = received;
    // Small messages are cheaper to copy.
    if (received < copyBytes / 2) this.#bulk = false;
    return this.#flush() ? "ok" : "sink";
  }

  /** For small messages: one copy in and one out. The pipe is used only when the sink is full. */
  #copyThrough(pipe: Pipe, most: number): TurnResult {
    const { libc, scratch } = this.#tools;
    const received = libc.receive(this.#source, scratch, Math.min(copyBytes, most), MSG_DONTWAIT);
    if (received <= 0) return this.#settleReceived(received);
    if (received === copyBytes) this.#bulk = true;
    const sent = libc.send(this.#sink, scratch, received, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && !isTransient(sent)) return "sink";
    this.#count(sent);
    const taken = Math.max(0, sent);
    if (taken === received) return "ok";
    // An empty pipe of at least 64 KiB takes these bytes in one write: at most four pages.
    this.#held = libc.write(pipe.writeFd, scratch.subarray(taken, received), received - taken);
    this.blocked = true;
    return this.#held === received - taken ? "ok" : "sink";
  }

  /** When no pipe is left: peeks at the bytes, sends them, and then takes as many off the source. */
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

  /** Whether more than a message waits to be read. */
  #seesBulk(): boolean {
    const { libc, scratch } = this.#tools;
    return libc.receive(this.#source, scratch, copyBytes, MSG_DONTWAIT | MSG_PEEK) === copyBytes;
  }

  #fit(pipe: Pipe): void {
    this.#fitted = true;
    const pipefuls = this.#budget === undefined ? 1 : aheadPipefuls;
    fitReceiveWindow(this.#tools.libc, this.#source, pipefuls * pipe.bytes);
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
