import type { DescriptorRoom, Descriptors } from "../conn/descriptors.ts";
import { RLIMIT_NOFILE } from "./constants.ts";
import { openLibc } from "./libc.ts";

/** Descriptors that are kept for ends: telling clients why not, and what the system itself opens for a moment. */
const KEPT = 48;
/** Of those, the ones that are not even lent to a client for the time of an answer: the operator has to get in. */
const KEPT_FOR_OPERATORS = 24;
/** Of those, the ones that nobody gets. */
const KEPT_LAST = 8;

/** The limit of open files of this process, read when it may matter. Several of these never disagree for long. */
export class SpareDescriptors implements Descriptors {
  readonly #limits = new BigUint64Array(2);
  #limit = 0;

  judge(fd: number): DescriptorRoom {
    // The limit may be changed from outside, so it is read again before anything is refused for it.
    if (fd >= this.#limit - KEPT) this.#readLimit();
    if (fd < this.#limit - KEPT) return "enough";
    if (fd < this.#limit - KEPT_FOR_OPERATORS) return "few";
    return fd < this.#limit - KEPT_LAST ? "operators" : "last";
  }

  allowsConnections(count: number): boolean {
    if (2 * count > this.#limit - KEPT) this.#readLimit();
    return 2 * count <= this.#limit - KEPT;
  }

  /** How many connections the limit allows for, and what it is. */
  measure(): { readonly limit: number; readonly connections: number } {
    this.#readLimit();
    return { limit: this.#limit, connections: Math.max(0, Math.floor((this.#limit - KEPT) / 2)) };
  }

  /** The soft limit; infinite where it is not known or none. */
  #readLimit(): void {
    const libc = openLibc();
    const unknown = libc === undefined || libc.getLimit(RLIMIT_NOFILE, this.#limits) < 0;
    this.#limit = unknown ? Infinity : Number(this.#limits[0]);
  }
}
