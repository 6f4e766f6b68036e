import { adoptDescriptor } from "../runtime/move-to-runtime.ts";
import { createEpoll } from "../epoll/epoll.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../libc/constants.ts";
import {
  announceListening,
  command,
  createLaneMemory,
  downFinishedBit,
  header,
  laneEnds,
  leftSlot,
  limitedBit,
  pushCommand,
  slot,
  slotOpen,
  slotWords,
  takeCompletion,
  upFinishedBit,
  type LaneMemory,
} from "./lane-memory.ts";
import { type LanedTunnel, type LanedTunnelEnd, type LaneSockets, type LeftLane, maxBuckets } from "../conn/lanes.ts";
import type { LaneOrder } from "./lane-worker.ts";
import { measureClockOffset } from "../conn/monotonic-clock.ts";
import type { TokenBuckets } from "../conn/token-buckets.ts";
import type { Libc } from "../libc/libc.ts";
import { openSocketPair, resetSocket } from "../libc/socket.ts";

export interface LaneOptions {
  /** Tunnels at once. A slot that is never used costs nothing. */
  readonly slots: number;
  /** Pipes at once. */
  readonly maxPipes: number;
  /** Bytes per pipe to ask the kernel for. */
  readonly pipeBytes: number;
  /** What the budgets of tunnels are made of. */
  readonly buckets?: TokenBuckets | undefined;
  /** Whether it rehearses before it runs. */
  readonly rehearses?: boolean;
}

export type LaneState = "starting" | "running" | "stopped" | "lost";

/** The owner's side of one lane: hands tunnels to its thread, and reads how they ended. */
export class Lane {
  readonly #libc: Libc;
  readonly #memory: LaneMemory;
  readonly #buckets: TokenBuckets | undefined;
  readonly #epollFd: number;
  readonly #wakeFd: number;
  readonly #pair: readonly [number, number];
  readonly #worker: Worker;
  readonly #onLost: (lane: Lane) => void;
  readonly #tunnels: (LaneHandle | undefined)[];
  readonly #freeSlots: number[] = [];
  readonly #wakeBytes = new Uint8Array(new BigUint64Array([1n]).buffer);
  readonly #ready = Promise.withResolvers<boolean>();
  #unusedFrom = 0;
  #open = 0;
  /** Bytes of tunnels that are over here. */
  #movedBefore = { up: 0, down: 0 };
  #state: LaneState = "starting";

  /** Starts the thread. Throws when the kernel has no descriptors for it. `onLost` is called when the thread dies by itself. */
  constructor(libc: Libc, options: LaneOptions, onLost: (lane: Lane) => void) {
    this.#libc = libc;
    this.#onLost = onLost;
    this.#memory = createLaneMemory(options.slots, options.maxPipes);
    if (options.rehearses === true) Atomics.store(this.#memory.header, header.rehearses, 1);
    this.#buckets = options.buckets;
    this.#tunnels = [];
    this.#epollFd = createEpoll(libc);
    this.#wakeFd = libc.eventFd(0, O_NONBLOCK | O_CLOEXEC);
    const pair = openSocketPair(libc);
    this.#pair = pair ?? [-1, -1];
    if (this.#epollFd < 0 || this.#wakeFd < 0 || pair === undefined) {
      this.#closeDescriptors();
      this.#libc.close(this.#pair[0]);
      throw new Error("Cannot start a splice lane: the kernel gives no more descriptors.");
    }
    // In the executable the thread has an entry point of its own, beside the main one under its plain name.
    // `smol` keeps its heap small: the thread allocates next to nothing.
    this.#worker = new Worker(new URL("./lane-worker.ts", import.meta.url).href, { smol: true, ref: false });
    this.#worker.addEventListener("close", () => this.#onClose());
    // A "close" follows. Without this listener an error would end the process.
    this.#worker.addEventListener("error", (event) => event.preventDefault());
    const order: LaneOrder = {
      buffer: this.#memory.buffer,
      slots: options.slots,
      maxPipes: options.maxPipes,
      pipeBytes: options.pipeBytes,
      epollFd: this.#epollFd,
      wakeFd: this.#wakeFd,
      ownerFd: this.#pair[1],
      buckets: options.buckets?.buffer,
      clockOffset: measureClockOffset(),
    };
    this.#worker.postMessage(order);
    void this.#listen();
  }

  get state(): LaneState {
    return this.#state;
  }

  /** Tunnels that were handed over and are not reported as over. */
  get open(): number {
    return this.#open;
  }

  /** Whether `adopt` would succeed now. */
  get hasRoom(): boolean {
    return this.#state === "running" && this.#open < this.#memory.slots;
  }

  /** Bytes that were delivered since the start, read from memory that is in one piece. */
  moved(): { up: number; down: number } {
    let { up, down } = this.#movedBefore;
    const { counts } = this.#memory;
    for (let at = 0; at < this.#unusedFrom * 2; at += 2) {
      up += counts[at] ?? 0;
      down += counts[at + 1] ?? 0;
    }
    return { up, down };
  }

  /** Resolves to true once the thread runs, to false when it died before. */
  get ready(): Promise<boolean> {
    return this.#ready.promise;
  }

  /** Ends its rehearsal: it runs within a moment. */
  endRehearsal(): void {
    Atomics.store(this.#memory.header, header.rehearses, 0);
  }

  /** Hands two sockets over. Only while `hasRoom`. */
  adopt(sockets: LaneSockets): LanedTunnel {
    const slotNumber = this.#takeSlot();
    const at = slotNumber * slotWords;
    const table = this.#memory.slotTable;
    table[at + slot.clientFd] = sockets.clientFd;
    table[at + slot.targetFd] = sockets.targetFd;
    table[at + slot.idleMs] = Math.min(Math.ceil(sockets.idleMs), 0x7fff_ffff);
    const isLimited = sockets.upBuckets !== undefined || sockets.downBuckets !== undefined;
    table[at + slot.flags] =
      (sockets.upFinished === true ? upFinishedBit : 0) |
      (sockets.downFinished === true ? downFinishedBit : 0) |
      (isLimited ? limitedBit : 0);
    if (isLimited) {
      this.#writeBuckets(at + slot.upBuckets, sockets.upBuckets);
      this.#writeBuckets(at + slot.downBuckets, sockets.downBuckets);
    }
    table[at + slot.upWaitsFor] = -1;
    table[at + slot.downWaitsFor] = -1;
    table[at + slot.end] = slotOpen;
    this.#memory.counts[slotNumber * 2] = 0;
    this.#memory.counts[slotNumber * 2 + 1] = 0;
    const handle = new LaneHandle(this.#memory, slotNumber, (operation) => this.#command(operation, slotNumber));
    this.#tunnels[slotNumber] = handle;
    this.#open += 1;
    this.#command(command.adopt, slotNumber);
    return handle;
  }

  #writeBuckets(at: number, numbers: readonly number[] = []): void {
    for (let index = 0; index < maxBuckets; index += 1) this.#memory.slotTable[at + index] = numbers[index] ?? -1;
  }

  /** Ends every tunnel with RST, then the thread. Resolves when all descriptors are closed. */
  async stop(): Promise<void> {
    if (this.#state === "running" || this.#state === "starting") {
      this.#state = "stopped";
      this.endRehearsal();
      this.#command(command.stop, 0);
    }
    await this.#closed.promise;
  }

  /** Kills the thread as a crash would, for tests. */
  crash(): void {
    this.#worker.terminate();
    this.#wake();
  }

  readonly #closed = Promise.withResolvers<void>();

  #takeSlot(): number {
    if (!this.hasRoom) throw new Error("A tunnel was handed to a splice lane that has no room for it.");
    const free = this.#freeSlots.pop();
    if (free !== undefined) return free;
    this.#unusedFrom += 1;
    return this.#unusedFrom - 1;
  }

  #command(operation: number, slotNumber: number): void {
    if (pushCommand(this.#memory, operation, slotNumber)) this.#wake();
  }

  #wake(): void {
    this.#libc.write(this.#wakeFd, this.#wakeBytes, 8);
  }

  /**
   * Listens to the lane on a socket, which costs half of what a message costs.
   * The runtime owns the descriptor from then on.
   */
  async #listen(): Promise<void> {
    const fd = this.#pair[0];
    try {
      const listener = await adoptDescriptor({ fd, socket: { data: () => this.#collect() } });
      listener.unref();
      await this.#closed.promise;
      listener.close();
    } catch {
      // The descriptor was not taken. Nobody would hear this lane.
      this.#libc.close(fd);
      this.#worker.terminate();
    }
  }

  #collect(): void {
    if (this.#state === "starting" && Atomics.load(this.#memory.header, header.running) === 1) {
      this.#state = "running";
      this.#ready.resolve(true);
    }
    announceListening(this.#memory);
    for (let done = takeCompletion(this.#memory); done >= 0; done = takeCompletion(this.#memory)) {
      const end = laneEnds[this.#memory.slotTable[done * slotWords + slot.end] ?? 0];
      this.#release(done, end ?? "killed");
    }
  }

  #release(slotNumber: number, end: LanedTunnelEnd): void {
    const handle = this.#tunnels[slotNumber];
    if (handle === undefined) return;
    this.#tunnels[slotNumber] = undefined;
    this.#freeSlots.push(slotNumber);
    this.#open -= 1;
    handle.finish(end, end === "released" ? this.#readLeft(slotNumber * slotWords) : undefined);
    const { up, down } = handle.bytes();
    this.#movedBefore = { up: this.#movedBefore.up + up, down: this.#movedBefore.down + down };
    // The thread writes no more to this slot.
    this.#memory.counts.fill(0, slotNumber * 2, slotNumber * 2 + 2);
  }

  #readLeft(at: number): LeftLane {
    const read = (word: number): number => this.#memory.slotTable[at + word] ?? 0;
    const flags = read(slot.flags);
    return {
      clientFd: read(slot.clientFd),
      targetFd: read(slot.targetFd),
      upRest: this.#emptyPipe(read(leftSlot.upPipe), read(leftSlot.upHeld)),
      downRest: this.#emptyPipe(read(leftSlot.downPipe), read(leftSlot.downHeld)),
      upFinished: (flags & upFinishedBit) !== 0,
      downFinished: (flags & downFinishedBit) !== 0,
      idleForMs: read(slot.idleMs),
    };
  }

  /** Reads what a pipe holds, and closes it. */
  #emptyPipe(fd: number, held: number): Uint8Array | undefined {
    if (fd < 0) return undefined;
    const bytes = new Uint8Array(held);
    // Its other end is closed: one read gives everything.
    const count = this.#libc.read(fd, bytes, held);
    this.#libc.close(fd);
    if (count !== held) throw new Error("A pipe of a splice lane lost bytes");
    return bytes;
  }

  /** The thread is gone: after `stop`, or by a crash. Closes what it left open, tunnels with RST. */
  #onClose(): void {
    this.#collect();
    const asked = this.#state === "stopped";
    this.#state = asked ? "stopped" : "lost";
    this.#ready.resolve(false);
    for (const [slotNumber, handle] of this.#tunnels.entries()) if (handle !== undefined) this.#abandon(slotNumber);
    for (const fd of this.#memory.pipes) if (fd >= 0) this.#libc.close(fd);
    this.#closeDescriptors();
    this.#closed.resolve();
    if (!asked) this.#onLost(this);
  }

  #abandon(slotNumber: number): void {
    const at = slotNumber * slotWords;
    const table = this.#memory.slotTable;
    const end = Atomics.load(table, at + slot.end);
    const isReleased = laneEnds[end] === "released";
    if (end === slotOpen || isReleased) {
      resetSocket(this.#libc, table[at + slot.clientFd] ?? -1);
      resetSocket(this.#libc, table[at + slot.targetFd] ?? -1);
    }
    for (const word of [slot.upWaitsFor, slot.downWaitsFor]) {
      const bucket = table[at + word] ?? -1;
      // Nobody else ends its wait, and those that wait for it would have shorter turns for ever.
      if (bucket >= 0) this.#buckets?.endWaiting(bucket, 0);
    }
    if (isReleased) for (const word of [leftSlot.upPipe, leftSlot.downPipe]) this.#libc.close(table[at + word] ?? -1);
    this.#release(slotNumber, "lane_lost");
  }

  /** Closes all but the one that the runtime owns. */
  #closeDescriptors(): void {
    for (const fd of [this.#epollFd, this.#wakeFd, this.#pair[1]]) this.#libc.close(fd);
  }
}

/** The owner's side of one tunnel. */
class LaneHandle implements LanedTunnel {
  readonly #memory: LaneMemory;
  readonly #slot: number;
  readonly #send: (operation: number) => void;
  readonly #done = Promise.withResolvers<LanedTunnelEnd>();
  #killed = false;
  #released = false;
  #final: { up: number; down: number } | undefined;
  left: LeftLane | undefined;

  constructor(memory: LaneMemory, slotNumber: number, send: (operation: number) => void) {
    this.#memory = memory;
    this.#slot = slotNumber;
    this.#send = send;
  }

  get done(): Promise<LanedTunnelEnd> {
    return this.#done.promise;
  }

  bytes(): { up: number; down: number } {
    const { counts } = this.#memory;
    return this.#final ?? { up: counts[this.#slot * 2] ?? 0, down: counts[this.#slot * 2 + 1] ?? 0 };
  }

  get waitsFor(): number | undefined {
    if (this.#final !== undefined) return undefined;
    const at = this.#slot * slotWords;
    const { slotTable } = this.#memory;
    const bucket = Math.max(slotTable[at + slot.upWaitsFor] ?? -1, slotTable[at + slot.downWaitsFor] ?? -1);
    return bucket < 0 ? undefined : bucket;
  }

  kill(): void {
    if (this.#killed || this.#final !== undefined) return;
    this.#killed = true;
    this.#send(command.kill);
  }

  release(): void {
    if (this.#released || this.#killed || this.#final !== undefined) return;
    this.#released = true;
    this.#send(command.release);
  }

  /** Keeps the counts before another tunnel gets the slot. */
  finish(end: LanedTunnelEnd, left: LeftLane | undefined): void {
    this.#final = this.bytes();
    this.left = left;
    this.#done.resolve(end);
  }
}
