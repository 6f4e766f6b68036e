import type { Cidr } from "./cidr.ts";
import type { Ip } from "./ip.ts";
import { sortInSteps } from "./sort-in-steps.ts";

/**
 * Address ranges, each with a value. A binary search finds the narrowest range
 * around an address, which leads to each wider one.
 */
export class RangeIndex {
  readonly #ipv4: Segments;
  readonly #ipv6: Segments;

  constructor(ipv4: Segments, ipv6: Segments) {
    this.#ipv4 = ipv4;
    this.#ipv6 = ipv6;
  }

  /** The narrowest range that holds the address; undefined when none does. */
  find(ip: Ip): RangeNode | undefined {
    return findSegment(ip.family === 4 ? this.#ipv4 : this.#ipv6, ip.bytes);
  }

  /** The narrowest range that holds all of `cidr`; undefined when none does. */
  findAround({ family, base, prefix }: Cidr): RangeNode | undefined {
    let node = findSegment(family === 4 ? this.#ipv4 : this.#ipv6, base);
    while (node !== undefined && node.prefix > prefix) node = node.wider;
    return node;
  }

  /** The values that a search can give, each at least once. */
  *values(): Iterable<number> {
    for (const { nodes } of [this.#ipv4, this.#ipv6])
      for (const narrowest of nodes) for (let node = narrowest; node !== undefined; node = node.wider) yield node.value;
  }
}

/** One range, or several with the same value, the same length and the same wider ranges. */
export interface RangeNode {
  readonly value: number;
  readonly prefix: number;
  /** The narrowest of the wider ranges. */
  readonly wider: RangeNode | undefined;
}

/** The addresses of one family, cut where a range begins or ends. */
interface Segments {
  /** 32-bit words of an address: 1 or 4. */
  readonly words: number;
  /** First address of each segment, ascending, in words. */
  readonly starts: Uint32Array;
  /** The narrowest range of each segment. */
  readonly nodes: readonly (RangeNode | undefined)[];
}

/** Joins `value` with the value that a range has already; `undefined` for a new range. */
export type JoinValues = (known: number | undefined, value: number) => number;

/** Collects ranges. The same range may be added several times. */
export class RangeIndexBuilder {
  readonly #ipv4 = new RangeList(1);
  readonly #ipv6 = new RangeList(4);

  add(cidr: Cidr, value: number): void {
    (cidr.family === 4 ? this.#ipv4 : this.#ipv6).add(cidr, value);
  }

  /** Joins the values of equal ranges in the order in which they were added. */
  build(join: JoinValues): RangeIndex {
    const steps = this.buildInSteps(join);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** `build` with pauses, at each `yield`. */
  *buildInSteps(join: JoinValues): Generator<undefined, RangeIndex, undefined> {
    return new RangeIndex(yield* this.#ipv4.build(join), yield* this.#ipv6.build(join));
  }
}

/** Ranges between two pauses. */
const STEP_RANGES = 64;

/** Ranges of one family. */
class RangeList {
  readonly #words: number;
  readonly #bases: number[] = [];
  readonly #prefixes: number[] = [];
  readonly #values: number[] = [];

  constructor(words: number) {
    this.#words = words;
  }

  add({ base, prefix }: Cidr, value: number): void {
    for (let word = 0; word < this.#words; word++) this.#bases.push(readWord(base, word));
    this.#prefixes.push(prefix);
    this.#values.push(value);
  }

  /** Walks the ranges in order, the wider ones first, with a stack of those around the current one. */
  *build(join: JoinValues): Generator<undefined, Segments, undefined> {
    const segments = new SegmentList(this.#words);
    const nodes = new NodeTable();
    const around: { readonly range: number; readonly node: RangeNode }[] = [];
    const leave = (): void => {
      const left = around.pop();
      const end = left && this.#findEnd(left.range);
      if (end) segments.begin(end, around.at(-1)?.node);
    };
    const order = yield* sortInSteps(this.#prefixes.length, (a, b) => this.#compare(a, b));
    for (let at = 0, rounds = 1; at < order.length; rounds++) {
      if (rounds % STEP_RANGES === 0) yield;
      const range = order[at] as number;
      let value: number | undefined;
      for (; at < order.length && this.#compare(order[at] as number, range) === 0; at++)
        value = join(value, this.#values[order[at] as number] as number);
      for (let top = around.at(-1); top && !this.#holds(top.range, range); top = around.at(-1)) leave();
      const node = nodes.find(value as number, this.#prefixes[range] as number, around.at(-1)?.node);
      segments.begin(this.#readBase(range), node);
      around.push({ range, node });
    }
    while (around.length > 0) leave();
    return segments.build();
  }

  #compare(a: number, b: number): number {
    for (let word = 0; word < this.#words; word++) {
      const difference = this.#readWord(a, word) - this.#readWord(b, word);
      if (difference !== 0) return difference;
    }
    return (this.#prefixes[a] as number) - (this.#prefixes[b] as number);
  }

  /** Whether range `a` holds the first address of `b`. */
  #holds(a: number, b: number): boolean {
    const prefix = this.#prefixes[a] as number;
    for (let word = 0; word < this.#words; word++) {
      const bits = Math.min(32, prefix - word * 32);
      if (bits <= 0) return true;
      if ((this.#readWord(a, word) ^ this.#readWord(b, word)) >>> (32 - bits) !== 0) return false;
    }
    return true;
  }

  /** The address after the last one of a range; undefined after the last one of all. */
  #findEnd(range: number): number[] | undefined {
    const end = this.#readBase(range);
    const prefix = this.#prefixes[range] as number;
    if (prefix === 0) return undefined;
    let step = 2 ** (31 - ((prefix - 1) & 31));
    for (let word = (prefix - 1) >> 5; word >= 0; word--) {
      const sum = (end[word] as number) + step;
      end[word] = sum >>> 0;
      if (sum < 2 ** 32) return end;
      step = 1;
    }
    return undefined;
  }

  #readBase(range: number): number[] {
    return this.#bases.slice(range * this.#words, (range + 1) * this.#words);
  }

  #readWord(range: number, word: number): number {
    return this.#bases[range * this.#words + word] as number;
  }
}

/** Shares equal nodes, so that a long list of ranges with one value has one node. */
class NodeTable {
  readonly #inside = new Map<RangeNode | undefined, Map<number, RangeNode>>();

  find(value: number, prefix: number, wider: RangeNode | undefined): RangeNode {
    let known = this.#inside.get(wider);
    if (known === undefined) this.#inside.set(wider, (known = new Map()));
    const key = value * 256 + prefix;
    let node = known.get(key);
    if (node === undefined) known.set(key, (node = { value, prefix, wider }));
    return node;
  }
}

class SegmentList {
  readonly #words: number;
  readonly #starts: number[] = [];
  readonly #nodes: (RangeNode | undefined)[] = [];

  constructor(words: number) {
    this.#words = words;
  }

  /** Begins a segment at `start`, which is not before the last one. */
  begin(start: readonly number[], node: RangeNode | undefined): void {
    const from = this.#starts.length - this.#words;
    if (from >= 0 && start.every((word, at) => word === this.#starts[from + at])) {
      this.#starts.length = from;
      this.#nodes.pop();
    }
    if (this.#nodes.at(-1) === node) return;
    this.#starts.push(...start);
    this.#nodes.push(node);
  }

  build(): Segments {
    return { words: this.#words, starts: Uint32Array.from(this.#starts), nodes: this.#nodes };
  }
}

function findSegment({ words, starts, nodes }: Segments, bytes: Uint8Array): RangeNode | undefined {
  let low = 0;
  let high = nodes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAfter(starts, middle * words, words, bytes)) high = middle;
    else low = middle + 1;
  }
  return low === 0 ? undefined : nodes[low - 1];
}

/** Whether the address of `words` words at `at` comes after that of `bytes`. */
function isAfter(starts: Uint32Array, at: number, words: number, bytes: Uint8Array): boolean {
  for (let word = 0; word < words; word++) {
    const start = starts[at + word] as number;
    const asked = readWord(bytes, word);
    if (start !== asked) return start > asked;
  }
  return false;
}

function readWord(bytes: Uint8Array, word: number): number {
  const at = word * 4;
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}
