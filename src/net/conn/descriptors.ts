/**
 * How far the process is from its limit of open files, the farthest first.
 *
 * - `enough`: nearly always.
 * - `few`: nothing that lasts is begun. A connection is told why.
 * - `operators`: a connection is closed at once, unless it is one to the sidecar.
 * - `last`: the sidecar, too, closes a connection for each one that it takes.
 *   Without a free descriptor the listeners could not even take connections to
 *   refuse them, and would be reported as readable for ever.
 */
export type DescriptorRoom = "enough" | "few" | "operators" | "last";

/** Whether a client's connection has to be closed at once. */
export function isTooFew(room: DescriptorRoom): boolean {
  return room === "operators" || room === "last";
}

/** What the process knows of its limit of open files. */
export interface Descriptors {
  /** The room that is left, told by a descriptor that was just given: the kernel hands out the lowest free number. */
  judge(fd: number): DescriptorRoom;
  /** Whether the limit allows for so many connections: each needs a descriptor for its client, and one for its target. */
  allowsConnections(count: number): boolean;
}
