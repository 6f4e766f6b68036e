import { type LaneEnd, maxBuckets } from "../conn/lanes.ts";
import { EPOLLIN } from "../libc/constants.ts";
import { Epoll } from "../epoll/epoll.ts";
import { copyBytes, type LaneTools } from "./lane-direction.ts";
import {
  announceAwake,
  announceSleep,
  command,
  downFinishedBit,
  header,
  laneEnds,
  leftSlot,
  limitedBit,
  pushCompletion,
  readCommandSlot,
  readOperation,
  slot,
  slotWords,
  takeCommand,
  upFinishedBit,
  type LaneMemory,
} from "./lane-memory.ts";
import { LaneTunnel } from "./lane-tunnel.ts";
import type { Libc } from "../libc/libc.ts";
import { SharedBudget } from "../conn/shared-budget.ts";
import type { TokenBuckets } from "../conn/token-buckets.ts";
import { TurnQueue } from "../conn/turn-queue.ts";
import { PipePool } from "./pipe-pool.ts";

/** What a lane is started with. Its owner keeps the descriptors, and closes them when the lane dies. */
export interface LaneSetup {
  readonly memory: LaneMemory;
  readonly epollFd: number;
  /** An eventfd that the owner writes to when the lane sleeps. */
  readonly wakeFd: number;
  /** A stream socket. A byte written to it tells the owner to read the completions. */
  readonly ownerFd: number;
  readonly pipeBytes: number;
  /** The buckets that the budgets of tunnels are made of; undefined when there are none. They have the time of `clock`. */
  readonly buckets?: TokenBuckets | undefined;
  readonly clock: LaneClock;
}

/** Events per wait. */
const maxEvents = 256;
/** The token of the wake-up descriptor; those of tunnels are not negative. */
const wakeToken = -1;
/** Bytes that bulk tunnels move before the loop serves the others again: about 1 ms. */
const glanceBytes = 4 * 1_048_576;
/** Milliseconds between two sweeps for idle tunnels: an idle timeout may be so late. */
const sweepMs = 100;
/** Pipes that an idle lane keeps. */
const pipesKept = 8;
/** Milliseconds without an event after which a lane is idle. */
const trimMs = 5_000;

/** The time of a lane, in milliseconds: one look at the clock for each wait, and not for each question. */
export class LaneClock {
  now = performance.now();
  /** Milliseconds that a rehearsal has skipped. */
  #skipped = 0;
  readonly #onWait: (() => void) | undefined;

  /** With `onWait`, which is called before each wait, nobody waits: that time passes at once. */
  constructor(onWait?: () => void) {
    this.#onWait = onWait;
  }

  read(): void {
    this.now = performance.now() + this.#skipped;
  }

  /** Tells how many of `ms` milliseconds to wait really. */
  skip(ms: number): number {
    if (this.#onWait === undefined) return ms;
    this.#onWait();
    this.#skipped += Math.max(0, ms);
    return 0;
  }
}

/** Carries tunnels on this thread until it is stopped. Nothing else runs on the thread. */
export class LaneLoop {
  readonly #libc: Libc;
  readonly #setup: LaneSetup;
  readonly #memory: LaneMemory;
  readonly #epoll: Epoll;
  /** The same descriptor with a list of events of its own, for a wait while another list is handled. */
  readonly #glance: Epoll;
  readonly #tools: LaneTools;
  readonly #tunnels: (LaneTunnel | undefined)[];
  readonly #bulkEvents: Int32Array;
  readonly #wakeBytes = new Uint8Array(8).fill(1);
  /** Slots from here on have never been used. */
  #unusedFrom = 0;
  #open = 0;
  /** Tunnels adopted so far. Tells the events of a tunnel from those of an earlier one in its slot. */
  #generation = 0;
  readonly #clock: LaneClock;
  #nextSweep = Infinity;
  /** Tunnels by the time at which their budget is due. */
  readonly #budgets = new TurnQueue<LaneTunnel>();
  #stopped = false;

  constructor(libc: Libc, setup: LaneSetup) {
    this.#libc = libc;
    this.#setup = setup;
    this.#clock = setup.clock;
    this.#memory = setup.memory;
    this.#epoll = new Epoll(libc, setup.epollFd, maxEvents);
    this.#glance = new Epoll(libc, setup.epollFd, maxEvents);
    this.#bulkEvents = new Int32Array(maxEvents);
    this.#tunnels = Array.from({ length: setup.memory.slots });
    const pipes = new PipePool(libc, setup.memory.pipes, {
      maxPipes: setup.memory.maxPipes,
      pipeBytes: setup.pipeBytes,
    });
    this.#tools = { libc, pipes, scratch: new Uint8Array(copyBytes) };
  }

  /** Runs the loop. Returns once stopped, with every descriptor of its tunnels and pipes closed. */
  run(): void {
    if (this.#epoll.add(this.#setup.wakeFd, EPOLLIN, wakeToken, 0) < 0)
      throw new Error("Cannot watch the wake-up descriptor of a lane.");
    Atomics.store(this.#memory.header, header.running, 1);
    this.#wakeOwner();
    while (!this.#stopped) {
      const count = this.#wait();
      this.#clock.read();
      if (count > 0) this.#handleEvents(count);
      this.#handleCommands();
      if (this.#clock.now >= this.#nextSweep) this.#sweep();
      if (this.#clock.now >= this.#budgets.nextAt) this.#serveBudgets();
    }
    for (const tunnel of this.#tunnels) if (tunnel !== undefined) this.#end(tunnel, "killed");
    this.#tools.pipes.trim(0);
  }

  #wait(): number {
    if (!announceSleep(this.#memory)) return this.#epoll.wait(0);
    const count = this.#epoll.wait(this.#clock.skip(this.#chooseTimeout()));
    announceAwake(this.#memory);
    if (count === 0 && this.#budgets.nextAt === Infinity) this.#tools.pipes.trim(pipesKept);
    return count;
  }

  /** Milliseconds until something is due without an event; -1 when nothing is. */
  #chooseTimeout(): number {
    const spare = this.#tools.pipes.idle > pipesKept;
    const due = Math.min(this.#nextSweep, this.#budgets.nextAt) - this.#clock.now;
    if (due === Infinity) return spare ? trimMs : -1;
    const timeout = Math.min(Math.max(0, Math.ceil(due)), 0x7fff_ffff);
    return spare ? Math.min(timeout, trimMs) : timeout;
  }

  /** Handles tunnels with small messages first, then bulk, and the former again after each `glanceBytes`. */
  #handleEvents(count: number): void {
    const bulk = this.#handleLight(this.#epoll, count);
    let moved = 0;
    for (let order = 0; order < bulk; order += 1) {
      const index = this.#bulkEvents[order] ?? 0;
      const tunnel = this.#findTunnel(this.#epoll, index);
      if (tunnel === undefined) continue;
      const before = tunnel.up.bytes + tunnel.down.bytes;
      this.#handleEvent(tunnel, this.#epoll, index);
      moved = this.#glanceAfter(moved + tunnel.up.bytes + tunnel.down.bytes - before);
    }
  }

  /** Handles tunnels with small messages, if so many bytes are worth it. Gives what has moved since the last time. */
  #glanceAfter(moved: number): number {
    if (moved < glanceBytes) return moved;
    this.#clock.read();
    this.#handleLight(this.#glance, this.#glance.wait(0));
    return 0;
  }

  /** Handles the events of `epoll` that are not of bulk tunnels. Notes the others in `bulkEvents`, and returns their number. */
  #handleLight(epoll: Epoll, count: number): number {
    const note = epoll === this.#epoll;
    let bulk = 0;
    for (let index = 0; index < count; index += 1) {
      const tunnel = this.#findTunnel(epoll, index);
      if (epoll.tokenAt(index) === wakeToken) this.#libc.read(this.#setup.wakeFd, this.#wakeBytes, 8);
      else if (tunnel !== undefined && !tunnel.isBulk) this.#handleEvent(tunnel, epoll, index);
      else if (note) {
        this.#bulkEvents[bulk] = index;
        bulk += 1;
      }
    }
    return bulk;
  }

  /** The tunnel that an event is for; undefined for one that is over. */
  #findTunnel(epoll: Epoll, index: number): LaneTunnel | undefined {
    const tunnel = this.#tunnels[epoll.tokenAt(index) >> 1];
    return tunnel?.generation === epoll.generationAt(index) ? tunnel : undefined;
  }

  #handleEvent(tunnel: LaneTunnel, epoll: Epoll, index: number): void {
    this.#settle(tunnel, tunnel.handle(epoll.tokenAt(index) & 1, epoll.eventsAt(index), this.#clock.now));
  }

  /** Publishes the counts of a tunnel, and ends or parks it where that is due. */
  #settle(tunnel: LaneTunnel, end: LaneEnd | undefined): void {
    this.#memory.counts[tunnel.slot * 2] = tunnel.up.bytes;
    this.#memory.counts[tunnel.slot * 2 + 1] = tunnel.down.bytes;
    if (end !== undefined) {
      this.#end(tunnel, end);
    } else if (tunnel.place !== undefined) {
      this.#tellWaiting(tunnel);
      const { dueIn } = tunnel;
      if (dueIn < Infinity) this.#budgets.add(tunnel.place, this.#clock.now + dueIn);
      else this.#budgets.delete(tunnel.place);
    }
  }

  #tellWaiting({ slot: slotNumber, up, down }: LaneTunnel): void {
    const at = slotNumber * slotWords;
    this.#memory.slotTable[at + slot.upWaitsFor] = up.waitsFor ?? -1;
    this.#memory.slotTable[at + slot.downWaitsFor] = down.waitsFor ?? -1;
  }

  /** Gives tunnels their turns. Many have theirs at the same time, and small messages do not wait for all of them. */
  #serveBudgets(): void {
    const { now } = this.#clock;
    let moved = 0;
    for (let tunnel = this.#budgets.takeDue(now); tunnel !== undefined; tunnel = this.#budgets.takeDue(now)) {
      const before = tunnel.up.bytes + tunnel.down.bytes;
      this.#settle(tunnel, tunnel.meetBudgets(now));
      moved = this.#glanceAfter(moved + tunnel.up.bytes + tunnel.down.bytes - before);
    }
  }

  #handleCommands(): void {
    for (let entry = takeCommand(this.#memory); entry >= 0; entry = takeCommand(this.#memory)) {
      const slotNumber = readCommandSlot(entry);
      const operation = readOperation(entry);
      if (operation === command.adopt) this.#adopt(slotNumber);
      else if (operation === command.kill) this.#kill(slotNumber);
      else if (operation === command.release) this.#release(slotNumber);
      else this.#stopped = true;
    }
  }

  #adopt(slotNumber: number): void {
    const at = slotNumber * slotWords;
    const read = (word: number): number => this.#memory.slotTable[at + word] ?? 0;
    const flags = read(slot.flags);
    const isLimited = (flags & limitedBit) !== 0;
    this.#generation = (this.#generation + 1) | 0;
    const tunnel = new LaneTunnel(this.#tools, this.#epoll, {
      slot: slotNumber,
      generation: this.#generation,
      clientFd: read(slot.clientFd),
      targetFd: read(slot.targetFd),
      idleMs: read(slot.idleMs),
      upFinished: (flags & upFinishedBit) !== 0,
      downFinished: (flags & downFinishedBit) !== 0,
      upBudget: isLimited ? this.#readBudget(at + slot.upBuckets) : undefined,
      downBudget: isLimited ? this.#readBudget(at + slot.downBuckets) : undefined,
      now: this.#clock.now,
    });
    this.#tunnels[slotNumber] = tunnel;
    this.#unusedFrom = Math.max(this.#unusedFrom, slotNumber + 1);
    this.#open += 1;
    Atomics.store(this.#memory.header, header.open, this.#open);
    if (tunnel.idleMs > 0) this.#nextSweep = Math.min(this.#nextSweep, this.#clock.now + tunnel.idleMs);
    if (!tunnel.watch()) this.#end(tunnel, "killed");
  }

  #readBudget(at: number): SharedBudget | undefined {
    const numbers = this.#memory.slotTable.subarray(at, at + maxBuckets);
    const used = Array.from(numbers).filter((number) => number >= 0);
    const { buckets } = this.#setup;
    return buckets === undefined || used.length === 0 ? undefined : new SharedBudget(buckets, used, { hasMoved: true });
  }

  // Neither does anything when the tunnel ended while the command was under way.

  #kill(slotNumber: number): void {
    const tunnel = this.#tunnels[slotNumber];
    if (tunnel !== undefined) this.#end(tunnel, "killed");
  }

  #release(slotNumber: number): void {
    const tunnel = this.#tunnels[slotNumber];
    if (tunnel === undefined) return;
    const { up, down } = tunnel;
    const at = slotNumber * slotWords;
    const table = this.#memory.slotTable;
    table[at + slot.idleMs] = Math.max(0, Math.floor(this.#clock.now - tunnel.movedAt));
    table[at + slot.flags] = (up.finished ? upFinishedBit : 0) | (down.finished ? downFinishedBit : 0);
    table[at + leftSlot.upHeld] = up.held;
    table[at + leftSlot.upPipe] = up.surrenderPipe() ?? -1;
    table[at + leftSlot.downHeld] = down.held;
    table[at + leftSlot.downPipe] = down.surrenderPipe() ?? -1;
    this.#end(tunnel, "released");
  }

  #end(tunnel: LaneTunnel, end: LaneEnd): void {
    this.#tunnels[tunnel.slot] = undefined;
    if (tunnel.place !== undefined) this.#budgets.delete(tunnel.place);
    this.#open -= 1;
    Atomics.store(this.#memory.header, header.open, this.#open);
    // Before the close: if this thread died in between, a descriptor would leak, but no other one would be closed.
    Atomics.store(this.#memory.slotTable, tunnel.slot * slotWords + slot.end, laneEnds.indexOf(end));
    tunnel.close(end);
    if (tunnel.place !== undefined) this.#tellWaiting(tunnel);
    if (pushCompletion(this.#memory, tunnel.slot)) this.#wakeOwner();
  }

  #wakeOwner(): void {
    this.#libc.write(this.#setup.ownerFd, this.#wakeBytes, 1);
  }

  #sweep(): void {
    let next = Infinity;
    for (let slotNumber = 0; slotNumber < this.#unusedFrom; slotNumber += 1) {
      const tunnel = this.#tunnels[slotNumber];
      if (tunnel === undefined || tunnel.idleMs === 0) continue;
      // One that waits for its budget has something to move.
      if (tunnel.isParked) tunnel.movedAt = this.#clock.now;
      const due = tunnel.movedAt + tunnel.idleMs;
      if (due <= this.#clock.now) this.#end(tunnel, "idle_timeout");
      else next = Math.min(next, due);
    }
    this.#nextSweep = Math.max(next, this.#clock.now + sweepMs);
    if (next === Infinity) this.#nextSweep = Infinity;
  }
}
