import { drainMicrotasks } from "bun:jsc";
import { FatalError, throwLater } from "../conn/throw-later.ts";
import { Doorbell } from "./doorbell.ts";
import { createEpoll, Epoll } from "./epoll.ts";
import { EPOLLIN } from "../libc/constants.ts";
import { type Libc, openLibc } from "../libc/libc.ts";
import { LoopTimers } from "../conn/loop-timers.ts";
import { SpareDescriptors } from "../libc/spare-descriptors.ts";
import { refuseToLinger } from "../libc/socket.ts";
import { SocketIps } from "../libc/socket-address.ts";
import { watchRuntimeLoop } from "./runtime-loop.ts";

/** Handles the events of a descriptor. */
export interface Watcher {
  /** `events` is a mask of EPOLL bits; 0 for `callSoon`. */
  onEvent(events: number): void;
  /** `onEvent` threw, which is a bug: close the descriptor. */
  onBug(error: unknown): void;
}

/** Events per turn; the others come in the next one. */
const maxEvents = 512;
/** The token of the runtime's loop. Descriptors are their own tokens, never negative. */
const runtimeToken = -1;
/** The shortest wait of those without an event. */
const shortestWaitMs = 4;
/**
 * Milliseconds that one wait lasts at most, by the silence before it: `[silence,
 * wait]`. Timers are the runtime's, and it does not tell when the next one is
 * due, so timers can fire late by at most this wait.
 */
const waits = [
  [100, shortestWaitMs],
  [1_000, 20],
] as const;
const quietWaitMs = 100;
/** Milliseconds of silence after which the runtime waits for the loop: to change over costs as much as a few waits. */
const sleepAfterMs = 250;
/** The least that one wait lasts while flows wait for their bandwidth, whose turns are known: they are the events, and each would be followed by short waits. */
const parkedWaitMs = 100;
/** Waits that may fail in a row before the loop counts as broken: it retries at once and would spin for ever. */
const maxFailures = 100;
/** Further turns without a wait before the runtime gets its turn. */
const moreTurns = 4;
/** Bytes per read at most: the relay costs three quarters per byte of what it costs with 64 KiB; 256 KiB saves little more. */
export const readBytes = 196_608;
/** Views up to this length are kept for reuse: a new one costs more than to read so few bytes. */
const maxKeptView = 2048;

/**
 * An event loop over epoll beside the runtime's, on the same thread.
 *
 * It costs about half as much as the runtime's sockets: a descriptor and a
 * watcher, with no object of the runtime in between. The two loops take turns:
 * this one waits for its own descriptors and for the runtime's loop, which is an
 * epoll descriptor too; handles its own events; then lets the runtime run
 * promises, timers and sockets. It runs as long as it watches something.
 *
 * **An event reaches only the watcher that it is for.** A turn handles a list of
 * events that was read at its beginning. Meanwhile the owner of a descriptor can
 * close it, here or on the thread of a lane, and its number can go to another
 * connection. So every registration has a generation, which comes back with its
 * events and ends when watching ends: events of earlier generations are dropped.
 * So the owner of a descriptor can close it at once.
 */
export class Reactor {
  readonly libc: Libc;
  readonly descriptors = new SpareDescriptors();
  /** The timers of the connections that it drives. */
  readonly timers = new LoopTimers();
  readonly ips = new SocketIps();
  readonly #epoll: Epoll;
  /** The epoll descriptor of the runtime's loop. */
  readonly #runtimeFd: number;
  /** Hung up while the runtime's loop waits for this one. */
  readonly #doorbell: Doorbell;
  readonly #watchers: (Watcher | undefined)[] = [];
  /** By descriptor: how often watching it has ended. */
  readonly #generations: number[] = [];
  /** Watchers to call in the next turn. */
  #soon: Watcher[] = [];
  readonly #turn = (): void => this.#takeTurn();
  /** Whether it watches the runtime's loop. Two loops cannot watch each other. */
  #seesRuntime = true;
  #watched = 0;
  #running = false;
  #closed = false;
  #lastEventAt = 0;
  readonly #memory = new Uint8Array(readBytes);
  readonly #views: (Uint8Array | undefined)[] = Array.from({ length: maxKeptView + 1 });

  private constructor(libc: Libc, epoll: Epoll, runtimeFd: number) {
    this.libc = libc;
    this.#epoll = epoll;
    this.#runtimeFd = runtimeFd;
    this.#doorbell = new Doorbell(libc, () => this.#wake());
  }

  /**
   * Opens one for this thread; undefined where the system has no epoll. Several on
   * one thread work but are slow: each blocks the others while it waits.
   */
  static open(): Reactor | undefined {
    const libc = openLibc();
    const fd = libc === undefined ? -1 : createEpoll(libc);
    if (libc === undefined || fd < 0) return undefined;
    const epoll = new Epoll(libc, fd, maxEvents);
    const runtimeFd = watchRuntimeLoop(libc, epoll, runtimeToken);
    if (runtimeFd !== undefined) return new Reactor(libc, epoll, runtimeFd);
    libc.close(fd);
    return undefined;
  }

  /** Ends it for good. Watchers hear nothing more, and their descriptors stay open. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#soon = [];
    this.#watchers.length = 0;
    this.#watched = 0;
    this.#doorbell.takeDown();
    this.libc.close(this.#epoll.fd);
  }

  /** Starts watching a descriptor. False when the kernel refuses, and when the loop is closed. */
  add(fd: number, interest: number, watcher: Watcher): boolean {
    if (this.#closed) return false;
    const generation = this.#generations[fd] ?? 0;
    if (this.#epoll.add(fd, interest, fd, generation) < 0) return false;
    this.#generations[fd] = generation;
    this.#watchers[fd] = watcher;
    this.#watched += 1;
    this.#start();
    return true;
  }

  /** Changes what a watched descriptor is watched for. */
  modify(fd: number, interest: number): void {
    if (!this.#closed) this.#epoll.modify(fd, interest, fd, this.#generations[fd] ?? 0);
  }

  /** Gives a watched descriptor another watcher. */
  replace(fd: number, watcher: Watcher): void {
    if (this.#watchers[fd] !== undefined) this.#watchers[fd] = watcher;
  }

  /** Calls a watcher in the next turn, before the wait. */
  callSoon(watcher: Watcher): void {
    if (this.#closed) return;
    this.#soon.push(watcher);
    this.#start();
  }

  /** Stops watching; the descriptor lives on. */
  remove(fd: number): void {
    if (!this.#forget(fd)) return;
    this.#epoll.remove(fd);
  }

  /** Closes a descriptor, watched or not. Only its owner may do that, and only once. */
  closeDescriptor(fd: number): void {
    // The kernel removes a socket from epoll with its last descriptor.
    this.#forget(fd);
    this.libc.close(fd);
  }

  /** Closes a descriptor with RST to its peer. */
  reset(fd: number): void {
    refuseToLinger(this.libc, fd);
    this.closeDescriptor(fd);
  }

  /**
   * Reads up to `most` bytes and `readBytes`. The bytes are lent until the next
   * call. Without bytes: 0 at the end of the stream, or a negated error number.
   */
  receive(fd: number, most: number): Uint8Array | number {
    const memory = this.#memory;
    const count = this.libc.read(fd, memory, most);
    if (count <= 0) return count;
    if (count > maxKeptView) return count === readBytes ? memory : memory.subarray(0, count);
    return (this.#views[count] ??= memory.subarray(0, count));
  }

  #forget(fd: number): boolean {
    if (this.#watchers[fd] === undefined) return false;
    this.#watchers[fd] = undefined;
    this.#generations[fd] = ((this.#generations[fd] ?? 0) + 1) | 0;
    this.#watched -= 1;
    // Its doorbell would keep the process alive.
    if (this.#watched === 0 && this.#doorbell.isHung) this.#wake();
    return true;
  }

  #start(): void {
    if (this.#doorbell.isHung) this.#wake();
    if (this.#running) return;
    this.#running = true;
    setImmediate(this.#turn);
  }

  #takeTurn(): void {
    if (this.#watched === 0 && this.#soon.length === 0) {
      this.#running = false;
      return;
    }
    try {
      if (this.#handle(this.#epoll.wait(this.#chooseWait()))) {
        this.#lastEventAt = performance.now();
        this.#goOn();
      }
    } finally {
      // Without its next turn the loop would be dead, whatever was thrown. In between the runtime has its turn,
      // without a wait of its own.
      if (this.#epoll.failures >= maxFailures)
        throwLater(new FatalError("The event loop cannot wait for its connections any more"));
      else if (!this.#sleeps()) setImmediate(this.#turn);
    }
  }

  /**
   * After a long silence the runtime's loop waits for this one, until something
   * happens: it knows when its timers are due, and nobody has to wake up to look.
   */
  #sleeps(): boolean {
    if (this.#closed || this.#soon.length > 0 || performance.now() - this.#lastEventAt < sleepAfterMs) return false;
    if (this.#watched === 0 || !this.#seesRuntime) return false;
    this.#epoll.remove(this.#runtimeFd);
    this.#seesRuntime = false;
    return this.#doorbell.hang(this.#epoll.fd);
  }

  /** Waits for the runtime's loop again, as long as there are events. */
  #wake(): void {
    this.#doorbell.takeDown();
    this.#lastEventAt = performance.now();
    setImmediate(this.#turn);
  }

  /** False when the kernel has no room for it, which passes: until then waits are short, and it is tried before each. */
  #watchRuntime(): boolean {
    this.#seesRuntime = this.#epoll.add(this.#runtimeFd, EPOLLIN, runtimeToken, 0) === 0;
    return this.#seesRuntime;
  }

  #chooseWait(): number {
    if (this.#soon.length > 0) return 0;
    const now = performance.now();
    if (!this.#seesRuntime && !this.#watchRuntime()) return shortestWaitMs;
    const wait = chooseQuietWait(now - this.#lastEventAt);
    const { nextAt } = this.timers.budgets;
    if (nextAt === Infinity) return wait;
    return Math.max(0, Math.min(Math.max(wait, parkedWaitMs), Math.ceil(nextAt - now)));
  }

  /** Handles what has come meanwhile: under load that saves most turns of the runtime's loop. */
  #goOn(): void {
    for (let more = 0; more < moreTurns; more += 1) {
      // Promises first: new events can depend on them.
      drainMicrotasks();
      if (this.#closed || !this.#handle(this.#epoll.wait(0))) return;
    }
  }

  /** Calls the watchers of `callSoon`, then handles `count` events. False when there was nothing to do. */
  #handle(count: number): boolean {
    const soon = this.#soon;
    if (count === 0 && soon.length === 0) return false;
    if (soon.length > 0) {
      this.#soon = [];
      for (const watcher of soon) this.#call(watcher, 0);
    }
    for (let index = 0; index < count; index += 1) {
      const fd = this.#epoll.tokenAt(index);
      const watcher = this.#watchers[fd];
      if (watcher !== undefined && this.#generations[fd] === this.#epoll.generationAt(index))
        this.#call(watcher, this.#epoll.eventsAt(index));
    }
    return true;
  }

  #call(watcher: Watcher, events: number): void {
    try {
      watcher.onEvent(events);
    } catch (error) {
      warn(error);
      try {
        watcher.onBug(error);
      } catch (again) {
        // The loop goes on for the others, whatever happens.
        warn(again);
      }
    }
  }
}

function chooseQuietWait(silence: number): number {
  for (const [since, wait] of waits) if (silence < since) return wait;
  return quietWaitMs;
}

/** There is no caller to tell of a bug: the process reports it. */
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
