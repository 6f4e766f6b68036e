import { F_GETPIPE_SZ, F_SETPIPE_SZ, O_CLOEXEC, O_NONBLOCK } from "../libc/constants.ts";
import type { Libc } from "../libc/libc.ts";
import { SpareDescriptors } from "../libc/spare-descriptors.ts";

/** A kernel pipe between two sockets. */
export interface Pipe {
  readonly readFd: number;
  readonly writeFd: number;
  /** Its capacity in bytes. */
  readonly bytes: number;
  /** Its index in the table of descriptors. */
  readonly index: number;
}

export interface PipePoolOptions {
  /** Pipes at once, at most. */
  readonly maxPipes: number;
  /** Bytes per pipe to ask for. What the kernel grants may be less. */
  readonly pipeBytes: number;
}

/** A smaller pipe costs more than it saves. The default size of Linux. */
const smallestUsefulPipe = 65_536;

/** Requests for a pipe that are refused before the kernel is asked again. */
const retryAfter = 256;

/**
 * Empty pipes. The one used last is handed out first, while its buffers are in
 * the caches.
 *
 * `table` holds both descriptors of every open pipe, and -1 for none. The owner
 * of the thread shares its memory, and closes them when the thread dies.
 */
export class PipePool {
  readonly #libc: Libc;
  readonly #table: Int32Array;
  readonly #options: PipePoolOptions;
  readonly #idle: Pipe[] = [];
  readonly #freeIndexes: number[] = [];
  readonly #fds = new Int32Array(2);
  readonly #descriptors = new SpareDescriptors();
  #wanted: number;
  #refusedFor = 0;

  constructor(libc: Libc, table: Int32Array, options: PipePoolOptions) {
    this.#libc = libc;
    this.#table = table;
    this.#options = options;
    this.#wanted = options.pipeBytes;
    for (let index = options.maxPipes - 1; index >= 0; index -= 1) this.#freeIndexes.push(index);
  }

  /** Open pipes, idle or in use. */
  get open(): number {
    return this.#options.maxPipes - this.#freeIndexes.length;
  }

  /** Open pipes that nobody uses. */
  get idle(): number {
    return this.#idle.length;
  }

  /** Returns an empty pipe; undefined when there is none, and then bytes are copied. */
  acquire(): Pipe | undefined {
    return this.#idle.pop() ?? this.#create();
  }

  /** Takes an empty pipe back. */
  release(pipe: Pipe): void {
    this.#idle.push(pipe);
  }

  /** Closes a pipe. Bytes in it are lost. */
  discard(pipe: Pipe): void {
    this.#libc.close(this.surrender(pipe));
  }

  /** Gives a pipe away with the bytes in it: its reading end belongs to the caller from then on, and the other one is closed. */
  surrender(pipe: Pipe): number {
    this.#refusedFor = 0;
    this.#wanted = this.#options.pipeBytes;
    this.#libc.close(pipe.writeFd);
    this.#table[pipe.index * 2] = -1;
    this.#table[pipe.index * 2 + 1] = -1;
    this.#freeIndexes.push(pipe.index);
    return pipe.readFd;
  }

  /** Closes the pipes that nobody uses, except for `keep` of them. */
  trim(keep: number): void {
    while (this.#idle.length > keep) {
      const pipe = this.#idle.shift();
      if (pipe !== undefined) this.discard(pipe);
    }
  }

  #create(): Pipe | undefined {
    const index = this.#freeIndexes.at(-1);
    if (index === undefined) return undefined;
    if (this.#refusedFor > 0) {
      this.#refusedFor -= 1;
      return undefined;
    }
    if (this.#libc.pipe(this.#fds, O_NONBLOCK | O_CLOEXEC) < 0) return this.#refuse();
    const readFd = this.#fds[0] ?? -1;
    const writeFd = this.#fds[1] ?? -1;
    const bytes = this.#grow(writeFd);
    if (bytes < smallestUsefulPipe || this.#descriptors.judge(Math.max(readFd, writeFd)) !== "enough") {
      this.#libc.close(readFd);
      this.#libc.close(writeFd);
      return this.#refuse();
    }
    this.#freeIndexes.pop();
    this.#table[index * 2] = readFd;
    this.#table[index * 2 + 1] = writeFd;
    return { readFd, writeFd, bytes, index };
  }

  /** Asks for the wanted size, and for halves of it until the kernel grants one. Returns the real size. */
  #grow(writeFd: number): number {
    while (this.#wanted > smallestUsefulPipe) {
      const granted = this.#libc.fcntl(writeFd, F_SETPIPE_SZ, this.#wanted);
      if (granted > 0) return granted;
      this.#wanted = this.#wanted >> 1;
    }
    return this.#libc.fcntl(writeFd, F_GETPIPE_SZ, 0);
  }

  /** A limit of the user or of the process is reached. */
  #refuse(): undefined {
    this.#refusedFor = retryAfter;
    return undefined;
  }
}
