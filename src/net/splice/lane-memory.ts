import type { LaneEnd } from "../conn/lanes.ts";

/**
 * The memory that a lane and its owner share instead of messages.
 *
 * A **slot** describes one tunnel: its sockets, its limits, its end, and its byte
 * counts, which both may read at any time. Two **rings** with one producer and
 * one consumer each carry slot numbers: commands to the lane, completions back.
 * A slot has at most four entries in the command ring (adopt, release, kill, and
 * one of its predecessor) and one in the other. The rings have room for all.
 *
 * A side that is about to sleep sets its flag, and then reads its ring once more.
 * The other side adds its entry, and then reads the flag. `Atomics` are
 * sequentially consistent, so one of the two always sees the other, and waking a
 * side that is awake costs no system call.
 */

/**
 * How a tunnel ended in its lane. Slots hold the index. After `released` the
 * owner has the descriptors again.
 */
export const laneEnds: readonly LaneEnd[] = [
  "closed",
  "client_reset",
  "target_reset",
  "idle_timeout",
  "killed",
  "released",
];

export interface LaneMemory {
  readonly buffer: SharedArrayBuffer;
  readonly slots: number;
  readonly maxPipes: number;
  /** Ring positions and flags; see `header`. */
  readonly header: Int32Array;
  /** `slotWords` numbers per slot; see `slot`. */
  readonly slotTable: Int32Array;
  /** Two counts per slot, bytes up and bytes down: whole numbers, exact to 2^53. An aligned store is never torn on x64 and arm64. */
  readonly counts: Float64Array;
  readonly commands: Int32Array;
  readonly completions: Int32Array;
  /** Descriptors of the lane's pipes, for its owner to close if the lane dies. -1 for none. */
  readonly pipes: Int32Array;
}

/** Words of `header`. Those that both threads write often are on cache lines of their own. */
export const header = {
  commandHead: 0,
  commandTail: 16,
  completionHead: 32,
  completionTail: 48,
  /** 1 while the lane sleeps, or is about to. */
  laneSleeps: 64,
  /** 1 when the owner has been woken and has not looked yet. */
  ownerWoken: 80,
  /** 1 once the lane runs. */
  running: 96,
  /** Tunnels that the lane carries. */
  open: 97,
  /** 1 while the lane may rehearse. The owner clears it. */
  rehearses: 98,
} as const;
const headerWords = 112;

/** Words of a slot. */
export const slot = {
  clientFd: 0,
  targetFd: 1,
  idleMs: 2,
  end: 3,
  flags: 4,
  upBuckets: 5,
  downBuckets: 9,
  /** The bucket that each direction waits for; -1 for none. The lane writes them for its owner. */
  upWaitsFor: 13,
  downWaitsFor: 14,
} as const;
export const slotWords = 15;
/**
 * Words of a slot after `released`, for its owner: `idleMs` is the time since the
 * last byte, `flags` tells of FINs, and these stand where the buckets were. The
 * owner closes the pipes: the reading ends of those with bytes, or -1.
 */
export const leftSlot = { upPipe: 5, upHeld: 6, downPipe: 7, downHeld: 8 } as const;
/** Bits of the `flags` word: directions whose FIN was passed on before the lane got the tunnel, or until it left. */
export const upFinishedBit = 1;
export const downFinishedBit = 2;
/** The words of buckets are filled: numbers of buckets, and -1 for none. Without this bit nothing limits the tunnel. */
export const limitedBit = 4;
/** In the `end` word: the lane owns the descriptors. */
export const slotOpen = -1;

/** Operations of commands: the low bits of a ring entry. */
export const command = { adopt: 0, kill: 1, stop: 2, release: 3 } as const;
const commandBits = 2;

/** Makes the memory of a new lane. Pages that are never written cost nothing. */
export function createLaneMemory(slots: number, maxPipes: number): LaneMemory {
  const ringSlots = sizeRing(slots);
  const words = headerWords + slots * slotWords + ringSlots * 2 + maxPipes * 2;
  const memory = mapLaneMemory(new SharedArrayBuffer(slots * 16 + words * 4), slots, maxPipes);
  memory.pipes.fill(-1);
  return memory;
}

/** Maps the parts of memory that `createLaneMemory` made with the same numbers. */
export function mapLaneMemory(buffer: SharedArrayBuffer, slots: number, maxPipes: number): LaneMemory {
  const ringSlots = sizeRing(slots);
  let at = 0;
  const take = (words: number): Int32Array => {
    const part = new Int32Array(buffer, at, words);
    at += words * 4;
    return part;
  };
  const counts = new Float64Array(buffer, 0, slots * 2);
  at += counts.byteLength;
  return {
    buffer,
    slots,
    maxPipes,
    counts,
    header: take(headerWords),
    slotTable: take(slots * slotWords),
    commands: take(ringSlots),
    completions: take(ringSlots),
    pipes: take(maxPipes * 2),
  };
}

/** Adds a command. Returns whether the lane sleeps and has to be woken. */
export function pushCommand(memory: LaneMemory, operation: number, slotNumber: number): boolean {
  pushRing(memory.header, header.commandHead, memory.commands, (slotNumber << commandBits) | operation);
  return Atomics.exchange(memory.header, header.laneSleeps, 0) === 1;
}

/** Takes the next command, for `readOperation` and `readCommandSlot`; -1 when there is none. */
export function takeCommand(memory: LaneMemory): number {
  return takeRing(memory.header, header.commandHead, header.commandTail, memory.commands);
}

export function readOperation(entry: number): number {
  return entry & ((1 << commandBits) - 1);
}
export function readCommandSlot(entry: number): number {
  return entry >> commandBits;
}

/** Announces that the lane is about to sleep. Returns false when a command waits instead. */
export function announceSleep(memory: LaneMemory): boolean {
  Atomics.store(memory.header, header.laneSleeps, 1);
  const idle = Atomics.load(memory.header, header.commandHead) === Atomics.load(memory.header, header.commandTail);
  if (!idle) Atomics.store(memory.header, header.laneSleeps, 0);
  return idle;
}

/** Announces that the lane is awake, so that commands need not wake it. */
export function announceAwake(memory: LaneMemory): void {
  Atomics.store(memory.header, header.laneSleeps, 0);
}

/** Adds a finished slot. Returns whether the owner has to be woken. */
export function pushCompletion(memory: LaneMemory, slotNumber: number): boolean {
  pushRing(memory.header, header.completionHead, memory.completions, slotNumber);
  return Atomics.exchange(memory.header, header.ownerWoken, 1) === 0;
}

/** Lets the lane wake the owner again. Call it before the ring is emptied. */
export function announceListening(memory: LaneMemory): void {
  Atomics.store(memory.header, header.ownerWoken, 0);
}

/** Takes the next finished slot; -1 when there is none. */
export function takeCompletion(memory: LaneMemory): number {
  return takeRing(memory.header, header.completionHead, header.completionTail, memory.completions);
}

function pushRing(positions: Int32Array, headWord: number, ring: Int32Array, entry: number): void {
  const head = positions[headWord] ?? 0;
  ring[head & (ring.length - 1)] = entry;
  Atomics.store(positions, headWord, (head + 1) | 0);
}

function takeRing(positions: Int32Array, headWord: number, tailWord: number, ring: Int32Array): number {
  const tail = positions[tailWord] ?? 0;
  if (Atomics.load(positions, headWord) === tail) return -1;
  const entry = ring[tail & (ring.length - 1)] ?? -1;
  Atomics.store(positions, tailWord, (tail + 1) | 0);
  return entry;
}

/** A power of two with room for four entries a slot, and for the command to stop. */
function sizeRing(slots: number): number {
  return 2 ** Math.ceil(Math.log2(slots * 4 + 4));
}
