type PortRange = readonly [from: number, to: number];

export class PortSet {
  /** First and last port of each range, ascending, none touching another; empty for every port. */
  readonly #bounds: readonly number[];

  /** Without ranges the set has every port. */
  constructor(ranges: readonly PortRange[]) {
    const bounds: number[] = [];
    for (const [from, to] of ranges.toSorted((a, b) => a[0] - b[0])) {
      const last = bounds.at(-1);
      if (last === undefined || from > last + 1) bounds.push(from, to);
      else bounds[bounds.length - 1] = Math.max(last, to);
    }
    this.#bounds = bounds;
  }

  /** Whether the set has every port. */
  get full(): boolean {
    return this.#bounds.length === 0;
  }

  /** The same text for the same set. */
  get key(): string {
    return this.#bounds.join();
  }

  has(port: number): boolean {
    const bounds = this.#bounds;
    if (bounds.length === 0) return true;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((bounds[middle] as number) <= port) low = middle + 1;
      else high = middle;
    }
    // After an odd number of bounds the port is inside a range; a last port belongs to its range.
    return (low & 1) === 1 || (low > 0 && bounds[low - 1] === port);
  }

  /** Whether the set has every port of another. */
  covers(other: PortSet): boolean {
    if (this.full) return true;
    const wanted = other.full ? [[1, 65_535] as const] : other.ranges();
    const own = this.ranges();
    return wanted.every(([from, to]) => own.some(([first, last]) => first <= from && to <= last));
  }

  /** Empty for every port. */
  ranges(): PortRange[] {
    const bounds = this.#bounds;
    const ranges: PortRange[] = [];
    for (let at = 0; at < bounds.length; at += 2) ranges.push([bounds[at] as number, bounds[at + 1] as number]);
    return ranges;
  }
}

const everyPort = new PortSet([]);

/** Gives one object for equal sets. */
export class PortSetTable {
  readonly #sets = new Map<string, PortSet>([["", everyPort]]);

  find(ranges: readonly PortRange[]): PortSet {
    return ranges.length === 0 ? everyPort : this.unique(new PortSet(ranges));
  }

  unique(set: PortSet): PortSet {
    const known = this.#sets.get(set.key);
    if (known === undefined) this.#sets.set(set.key, set);
    return known ?? set;
  }

  /** All that one of the sets has. */
  unite(sets: Iterable<PortSet>): PortSet | undefined {
    const ranges: PortRange[] = [];
    let some = false;
    for (const set of sets) {
      if (set.full) return everyPort;
      some = true;
      ranges.push(...set.ranges());
    }
    return some ? this.find(ranges) : undefined;
  }
}
