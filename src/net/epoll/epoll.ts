import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, O_CLOEXEC } from "../libc/constants.ts";
import { EINTR } from "../libc/errno.ts";
import type { Libc } from "../libc/libc.ts";

/**
 * The layout of `struct epoll_event` in 32-bit words. It is packed on x64 only
 * (12 bytes); elsewhere its 64-bit half is aligned (16 bytes).
 */
export function describeEpollEvent(arch: string): { words: number; dataWord: number } {
  return arch === "x64" ? { words: 3, dataWord: 1 } : { words: 4, dataWord: 2 };
}

/**
 * An epoll instance. Every registration carries two numbers of the caller, which
 * come back with its events: a token (whose event it is) and a generation
 * (whether it still is). An event list is a snapshot: the handler of one event
 * can close the descriptor of a later one, and its number and token can be in
 * use again by then.
 */
export class Epoll {
  readonly fd: number;
  readonly #libc: Libc;
  readonly #words: number;
  readonly #dataWord: number;
  readonly #one: Int32Array;
  readonly #events: Int32Array;
  readonly #maxEvents: number;

  /** Wraps `fd`, an epoll descriptor, which stays the caller's to close. */
  constructor(libc: Libc, fd: number, maxEvents: number) {
    const { words, dataWord } = describeEpollEvent(process.arch);
    this.#libc = libc;
    this.fd = fd;
    this.#words = words;
    this.#dataWord = dataWord;
    this.#one = new Int32Array(words);
    this.#events = new Int32Array(words * maxEvents);
    this.#maxEvents = maxEvents;
  }

  /** Starts watching. Returns 0, or a negated error number (`-ENOSPC` at `max_user_watches`). */
  add(fd: number, interest: number, token: number, generation: number): number {
    return this.#control(EPOLL_CTL_ADD, fd, interest, token, generation);
  }

  /** Changes what is watched for. */
  modify(fd: number, interest: number, token: number, generation: number): number {
    return this.#control(EPOLL_CTL_MOD, fd, interest, token, generation);
  }

  /** Stops watching. Must come before the descriptor is closed while duplicates of it live on. */
  remove(fd: number): number {
    return this.#control(EPOLL_CTL_DEL, fd, 0, 0, 0);
  }

  /** Waits that failed in a row, other than by a signal: many mean that the descriptor is no epoll any more. */
  failures = 0;

  /** Waits for events, up to `timeoutMs` (-1: for ever). Returns how many there are; an interrupted or failed wait is 0. */
  wait(timeoutMs: number): number {
    const count = this.#libc.epollWait(this.fd, this.#events, this.#maxEvents, timeoutMs);
    if (count >= 0) {
      this.failures = 0;
      return count;
    }
    if (count !== -EINTR) this.failures += 1;
    return 0;
  }

  /** What happened in event `index` of the last wait: a mask of EPOLL bits. */
  eventsAt(index: number): number {
    return this.#events[index * this.#words] ?? 0;
  }

  /** The token of event `index` of the last wait. */
  tokenAt(index: number): number {
    return this.#events[index * this.#words + this.#dataWord] ?? 0;
  }

  /** The generation of event `index` of the last wait. */
  generationAt(index: number): number {
    return this.#events[index * this.#words + this.#dataWord + 1] ?? 0;
  }

  #control(operation: number, fd: number, interest: number, token: number, generation: number): number {
    this.#one[0] = interest;
    this.#one[this.#dataWord] = token;
    this.#one[this.#dataWord + 1] = generation;
    return this.#libc.epollCtl(this.fd, operation, fd, this.#one);
  }
}

/** Creates an epoll descriptor; negative when the kernel refuses. */
export function createEpoll(libc: Libc): number {
  return libc.epollCreate(O_CLOEXEC);
}
