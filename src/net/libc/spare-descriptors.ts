import type { DescriptorRoom, Descriptors } from "../conn/descriptors.ts";
import { RLIMIT_NOFILE } from "./constants.ts";
import { openLibc } from "./libc.ts";

/** Descriptors that no tunnel gets: for refusals, the sidecar, files and lookups. */
const KEPT = 48;
/** Of those, the descriptors that no refused client gets either: for the sidecar. */
const KEPT_FOR_OPERATORS = 24;
/** Of those, the descriptors that no connection keeps. */
const KEPT_LAST = 8;

/** The limit of open files of this process, read again before anything is refused for it. Instances cannot disagree for long. */
export class SpareDescriptors implements Descriptors {
  readonly #limits = new BigUint64Array(2);
  #limit = 0;

  judge(fd: number): DescriptorRoom {
    // prlimit(1) can change the limit from outside.
    if (fd >= this.#limit - KEPT) this.#readLimit();
    if (fd < this.#limit - KEPT) return "enough";
    if (fd < this.#limit - KEPT_FOR_OPERATORS) return "few";
    return fd < this.#limit - KEPT_LAST ? "operators" : "last";
  }

  allowsConnections(count: number): boolean {
    if (2 * count > this.#limit - KEPT) this.#readLimit();
    return 2 * count <= this.#limit - KEPT;
  }

  /** The limit, and how many connections it allows. */
  measure(): { readonly limit: number; readonly connections: number } {
    this.#readLimit();
    return { limit: this.#limit, connections: Math.max(0, Math.floor((this.#limit - KEPT) / 2)) };
  }

  /** The soft limit; infinite where it is unknown or unlimited. */
  #readLimit(): void {
    const libc = openLibc();
    const unknown = libc === undefined || libc.getLimit(RLIMIT_NOFILE, this.#limits) < 0;
    this.#limit = unknown ? Infinity : Number(this.#limits[0]);
  }
}
