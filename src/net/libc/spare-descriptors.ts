import { RLIMIT_NOFILE } from "./constants.ts";
import { openLibc } from "./libc.ts";

/** Descriptors that are kept for ends: telling clients why not, and what the system itself opens for a moment. */
const KEPT = 48;
/** Of those, the ones that are not even lent to a client for the time of an answer: the operator has to get in. */
const KEPT_FOR_OPERATORS = 24;
/** Of those, the ones that nobody gets. */
const KEPT_LAST = 8;

/** How far the process is from its limit of descriptors, the farthest first. */
export type DescriptorRoom = "enough" | "few" | "operators" | "last";

/**
 * How far the process is from its limit of descriptors, told by one that it was
 * just given: the kernel hands out the lowest free number.
 *
 * - `enough`: nearly always.
 * - `few`: nothing is begun with it that lasts. A connection is told why.
 * - `operators`: it is closed at once, unless it is a connection to the sidecar.
 * - `last`: it is closed at once. Without a free descriptor the listeners could
 *   not even take connections to refuse them, and would be reported as readable
 *   for ever.
 */
export function judgeDescriptor(fd: number): DescriptorRoom {
  // The limit may be changed from outside, so it is read again before anything is refused for it.
  if (fd >= limit - KEPT) limit = readLimit();
  if (fd < limit - KEPT) return "enough";
  if (fd < limit - KEPT_FOR_OPERATORS) return "few";
  return fd < limit - KEPT_LAST ? "operators" : "last";
}

/** Whether a client's connection has to be closed at once. */
export function isTooFew(room: DescriptorRoom): boolean {
  return room === "operators" || room === "last";
}

/** Whether the limit allows for so many connections: each needs a descriptor for its client, and one for its target. */
export function allowsConnections(count: number): boolean {
  if (2 * count > limit - KEPT) limit = readLimit();
  return 2 * count <= limit - KEPT;
}

/** How many connections the limit allows for, and what it is. */
export function measureDescriptors(): { readonly limit: number; readonly connections: number } {
  limit = readLimit();
  return { limit, connections: Math.max(0, Math.floor((limit - KEPT) / 2)) };
}

let limit = 0;
const limits = new BigUint64Array(2);

/** The soft limit; infinite where it is not known or none. */
function readLimit(): number {
  const libc = openLibc();
  if (libc === undefined || libc.getLimit(RLIMIT_NOFILE, limits) < 0) return Infinity;
  return Number(limits[0]);
}
