import { drainMicrotasks } from "bun:jsc";
import { FatalError, throwLater } from "../conn/throw-later.ts";
import { createEpoll, Epoll } from "./epoll.ts";
import { type Libc, openLibc } from "../libc/libc.ts";
import { LoopTimers } from "../conn/loop-timers.ts";
import { SpareDescriptors } from "../libc/spare-descriptors.ts";
import { refuseToLinger } from "../libc/socket.ts";
import { watchRuntimeLoop } from "./runtime-loop.ts";

/** Who hears of a descriptor. */
export interface Watcher {
  /** What epoll says of it: a mask of EPOLL bits; 0 when it asked to be called. */
  onEvent(events: number): void;
  /** A call of `onEvent` threw, which is a bug: the descriptor is to be closed, the others live on. */
  onBug(error: unknown): void;
}

/** Events per turn: those that wait meanwhile are told in the next one. */
const maxEvents = 512;
/** The token of the runtime's loop; those of descriptors are not negative. */
const runtimeToken = -1;
/**
 * Milliseconds after which the runtime gets a turn at the latest: timers are its
 * matter, and it cannot tell us when the next one is due. A timer may be so much
 * late, and the more so the longer nothing has happened: `[since, wait]`.
 */
const waits = [
  [100, 4],
  [1_000, 20],
] as const;
const quietWaitMs = 100;
/** Waits that may fail in a row: each is retried at once, and a loop that only fails would spin for ever. */
const maxFailures = 100;
/** Turns without waiting that may follow one another before the runtime gets its own. */
const moreTurns = 4;
/** Bytes that one read can take: three quarters of what 64 KiB cost per byte in the relay, and 256 KiB would save little more. */
export const readBytes = 196_608;
/** Chunks up to this length are views that are kept: a new one costs more than to read so few bytes. */
const maxKeptView = 2048;

/**
 * An event loop over epoll beside the runtime's, on the same thread.
 *
 * It costs about half as much as the runtime's sockets: a descriptor, a watcher,
 * and no object of the runtime in between. The two loops take turns: this one
 * waits for its own descriptors and for the runtime's loop, which is a descriptor
 * too; handles its own; and lets the runtime do what it has to do, promises and
 * timers included. It runs as long as it watches something.
 *
 * **An event is only told to the watcher that it is for.** A turn handles a
 * list of events that was read at its beginning. Meanwhile a descriptor can be
 * closed, by whoever owns it, here or on the thread of a lane, and its number
 * be given to another connection. So every registration has a generation, which
 * the kernel gives back with its events, and which ends when the descriptor is
 * no longer watched: an event of an earlier generation is dropped. Because of
 * that a descriptor can be closed at once by the one who owns it.
 */
export class Reactor {
  readonly libc: Libc;
  readonly descriptors = new SpareDescriptors();
  /** For the connections that it drives. */
  readonly timers = new LoopTimers();
  readonly #epoll: Epoll;
  readonly #watchers: (Watcher | undefined)[] = [];
  /** Of each descriptor number: how often watching it has ended. */
  readonly #generations: number[] = [];
  /** Who has more to do. */
  #soon: Watcher[] = [];
  readonly #turn = (): void => this.#takeTurn();
  #watched = 0;
  #running = false;
  #closed = false;
  #lastEventAt = 0;
  readonly #memory = new Uint8Array(readBytes);
  readonly #views: (Uint8Array | undefined)[] = Array.from({ length: maxKeptView + 1 });

  private constructor(libc: Libc, epoll: Epoll) {
    this.libc = libc;
    this.#epoll = epoll;
  }

  /**
   * Opens one for this thread; undefined where the system does not allow for it.
   * Several on one thread are right but slow: each makes the others wait while it
   * waits itself.
   */
  static open(): Reactor | undefined {
    const libc = openLibc();
    const fd = libc === undefined ? -1 : createEpoll(libc);
    if (libc === undefined || fd < 0) return undefined;
    const epoll = new Epoll(libc, fd, maxEvents);
    if (watchRuntimeLoop(libc, epoll, runtimeToken)) return new Reactor(libc, epoll);
    libc.close(fd);
    return undefined;
  }

  /** Ends it for good. What it watches is told nothing more; its descriptors stay with their owners. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#soon = [];
    this.#watchers.length = 0;
    this.#watched = 0;
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

  /** Has somebody else hear of a watched descriptor. */
  replace(fd: number, watcher: Watcher): void {
    if (this.#watchers[fd] !== undefined) this.#watchers[fd] = watcher;
  }

  /** Calls a watcher in the next turn, before it is waited for anything. */
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

  /** Closes a descriptor, watched or not. Only its owner may, and only once. */
  closeDescriptor(fd: number): void {
    // With the last descriptor of a socket its place in the epoll goes away.
    this.#forget(fd);
    this.libc.close(fd);
  }

  /** Closes a descriptor with RST to its peer. */
  reset(fd: number): void {
    refuseToLinger(this.libc, fd);
    this.closeDescriptor(fd);
  }

  /**
   * Reads what is there, up to `most` bytes and `readBytes`. The bytes are lent until the next
   * call. Instead of bytes: 0 at the end of the stream, a negated error number otherwise.
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
    return true;
  }

  #start(): void {
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
      // Whatever was thrown: without its next turn the loop would be dead. Before that the runtime looks what it has
      // to do, without waiting, since we are waiting here.
      if (this.#epoll.failures < maxFailures) setImmediate(this.#turn);
      else throwLater(new FatalError("The event loop cannot wait for its connections any more"));
    }
  }

  #chooseWait(): number {
    if (this.#soon.length > 0) return 0;
    const silence = performance.now() - this.#lastEventAt;
    for (const [since, wait] of waits) if (silence < since) return wait;
    return quietWaitMs;
  }

  /** Handles what has come meanwhile: under load that spares most visits to the runtime's loop. */
  #goOn(): void {
    for (let more = 0; more < moreTurns; more += 1) {
      // What waits for a promise comes first: it may be why there is nothing new to tell.
      drainMicrotasks();
      if (this.#closed || !this.#handle(this.#epoll.wait(0))) return;
    }
  }

  /** Calls those who asked for it, and tells of `count` events. False when there was nothing to do. */
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

/** Nobody above could be told of a mistake; whoever runs the program is. */
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
