import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { openLibc } from "./libc.ts";

/** Bytes of one write to what is no file: `PIPE_BUF`, for which there is room in a pipe that reports room, so that it never blocks. */
const PIPE_BYTES = 4096;

/** The same for a terminal that cannot be opened again: it reports room when there is some, which comes in pieces of 256 bytes, and line ends take two. */
const TERMINAL_BYTES = 128;

/** Milliseconds until it is looked again whether there is room, from the shortest to the longest. */
const SHORTEST_MS = 1;
const LONGEST_MS = 50;

export interface DescriptorWriterOptions {
  /** Bytes that may wait. What does not fit is not taken at all. */
  readonly limitBytes: number;
}

interface Piece {
  readonly bytes: Uint8Array;
  readonly done: PromiseWithResolvers<void>;
}

/**
 * Writes to a descriptor that came from outside (standard output, standard
 * error) and never waits for its reader: a pipe that is full is looked at again
 * later. The descriptor is left as it is: others may share its flags. A terminal
 * is opened once more for that reason: it reports room that is too small for a
 * line, and would wait for the rest of it.
 *
 * Where the system cannot be asked for room (not on Linux), it writes and waits.
 */
export class DescriptorWriter {
  readonly #fd: number;
  readonly #limitBytes: number;
  readonly #asks: boolean;
  /** Bytes of one write. */
  readonly #most: number;
  readonly #queue: Piece[] = [];
  #queuedBytes = 0;
  /** Of the first piece. */
  #written = 0;
  /** The last piece could not be written to its end: the next one begins a line. */
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
   * Takes whole lines. The promise is fulfilled once the system has them and
   * rejected when it does not take them; undefined when too much waits already.
   */
  write(text: string): Promise<void> | undefined {
    const bytes = Buffer.from(text);
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
    this.#written += writeSync(this.#fd, bytes, this.#written, Math.min(this.#most, bytes.length - this.#written));
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

/** What is written to a file never waits for a reader. */
function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    // It is closed; a write will say so.
    return true;
  }
}

/** A descriptor of our own for the same terminal that never waits; undefined where the system gives none. */
function openTerminal(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
}

const POLLOUT = 0x4;

/** Also true when there is an error: the write tells which. */
function hasRoom(fd: number): boolean {
  const libc = openLibc();
  // struct pollfd: the descriptor, then what is asked for and what is told, 16 bits each.
  return libc === undefined || libc.poll(Int32Array.of(fd, POLLOUT), 1, 0) !== 0;
}

/** The descriptor is non-blocking, and was full after all; or a signal came. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EAGAIN" || error.code === "EINTR");
}
