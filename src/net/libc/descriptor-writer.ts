import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { readErrorCode } from "../../error-code.ts";
import { openLibc } from "./libc.ts";

/** Bytes of one write to anything but a file: `PIPE_BUF`. A pipe that reports room has room for so many, so that the write never blocks. */
const PIPE_BYTES = 4096;

/** The same for a terminal that cannot be opened again: it reports room from 256 bytes on, and a line end takes two. */
const TERMINAL_BYTES = 128;

/** Milliseconds between two looks for room, at first and at most. */
const SHORTEST_MS = 1;
const LONGEST_MS = 50;

export interface DescriptorWriterOptions {
  /** Bytes that may wait. A text that does not fit is refused whole. */
  readonly limitBytes: number;
}

interface Piece {
  readonly bytes: Uint8Array;
  readonly done: PromiseWithResolvers<void>;
}

/**
 * Writes to a descriptor from outside (standard output, standard error) without
 * ever waiting for its reader: a full pipe is tried again later. The flags of
 * the descriptor stay, because other processes may share them. So a terminal is
 * opened once more, non-blocking: it reports room that is too small for a line.
 *
 * Where the system cannot be asked for room (not on Linux), writes may block.
 */
export class DescriptorWriter {
  readonly #fd: number;
  readonly #limitBytes: number;
  readonly #asks: boolean;
  /** Bytes of one write. */
  readonly #most: number;
  readonly #queue: Piece[] = [];
  #queuedBytes = 0;
  /** Bytes of the first piece that are written. */
  #written = 0;
  /** The last piece was cut within a line: a line end comes before the next one. */
  #torn = false;
  #timer: Timer | undefined;
  #waitMs = SHORTEST_MS;

  constructor(fd: number, { limitBytes }: DescriptorWriterOptions) {
    const own = isatty(fd) ? openTerminal(fd) : undefined;
    this.#fd = own ?? fd;
    this.#limitBytes = limitBytes;
    this.#asks = !isFile(fd);
    this.#most = !this.#asks ? Infinity : own === undefined && isatty(fd) ? TERMINAL_BYTES : PIPE_BYTES;
  }

  /**
   * Takes whole lines. The promise resolves once the system has them, and rejects
   * when it refuses them. Undefined when too much waits already.
   */
  write(text: string | Uint8Array): Promise<void> | undefined {
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes.length > this.#limitBytes) return undefined;
    const done = Promise.withResolvers<void>();
    this.#queue.push({ bytes, done });
    this.#queuedBytes += bytes.length;
    if (this.#timer === undefined) this.#proceed();
    return done.promise;
  }

  #proceed(): void {
    this.#timer = undefined;
    for (;;) {
      const piece = this.#queue[0];
      if (piece === undefined) return;
      if (this.#written === piece.bytes.length) {
        this.#drop(piece);
        piece.done.resolve();
        continue;
      }
      if (this.#asks && !hasRoom(this.#fd)) return this.#wait();
      try {
        this.#writeSome(piece.bytes);
        this.#waitMs = SHORTEST_MS;
      } catch (error) {
        if (isBusy(error)) return this.#wait();
        this.#torn ||= this.#written > 0 && piece.bytes[this.#written - 1] !== LF;
        this.#drop(piece);
        piece.done.reject(error);
      }
    }
  }

  #writeSome(bytes: Uint8Array): void {
    if (this.#torn) {
      writeSync(this.#fd, "\n");
      this.#torn = false;
      // That may have taken the last room.
      return;
    }
    this.#written += writeSync(this.#fd, bytes, this.#written, this.#chooseLength(bytes));
  }

  /** Whole lines where they fit: another process may write to the same pipe during a hand-over. */
  #chooseLength(bytes: Uint8Array): number {
    const left = bytes.length - this.#written;
    if (left <= this.#most) return left;
    const end = bytes.lastIndexOf(LF, this.#written + this.#most - 1) + 1;
    return end > this.#written ? end - this.#written : this.#most;
  }

  #drop({ bytes }: Piece): void {
    this.#queue.shift();
    this.#queuedBytes -= bytes.length;
    this.#written = 0;
  }

  #wait(): void {
    this.#timer = setTimeout(() => this.#proceed(), this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_MS);
  }
}

const LF = 0x0a;

/** Whether it is a file: a write to one never waits for a reader. */
function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    // It is closed; the write reports that.
    return true;
  }
}

/** Opens the same terminal again, non-blocking; undefined where the system refuses. */
function openTerminal(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

const POLLOUT = 0x4;

/** Also true for an error, which the write reports. */
function hasRoom(fd: number): boolean {
  const libc = openLibc();
  // struct pollfd: the descriptor, then what is asked for and what is told, 16 bits each.
  return libc === undefined || libc.poll(Int32Array.of(fd, POLLOUT), 1, 0) !== 0;
}

/** A non-blocking descriptor was full after all, or a signal came. */
function isBusy(error: unknown): boolean {
  const code = readErrorCode(error);
  return code === "EAGAIN" || code === "EINTR";
}
