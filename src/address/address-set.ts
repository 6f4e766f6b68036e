import type { Cidr } from "./cidr.ts";
import type { Ip } from "./ip.ts";
import { type RangeIndex, RangeIndexBuilder } from "./range-index.ts";

/** A set of address ranges. A look-up is a binary search. */
export class AddressSet {
  /** Whether it has no address. */
  readonly isEmpty: boolean;
  readonly #ranges: RangeIndex;

  constructor(ranges: Iterable<Cidr>) {
    const builder = new RangeIndexBuilder();
    let isEmpty = true;
    for (const range of ranges) {
      builder.add(range, 1);
      isEmpty = false;
    }
    this.isEmpty = isEmpty;
    this.#ranges = builder.build(() => 1);
  }

  has(ip: Ip): boolean {
    return this.#ranges.find(ip) !== undefined;
  }

  /** Whether one of the ranges holds all of `range`. */
  hasRange(range: Cidr): boolean {
    return this.#ranges.findAround(range) !== undefined;
  }
}
