/**
 * How far the process is from its limit of open files, the farthest first.
 *
 * - `enough`: nearly always.
 * - `few`: a client gets an answer that refuses it; no tunnel and no dial begins.
 * - `operators`: a connection is reset at once, unless it is one to the sidecar.
 * - `last`: the sidecar, too, closes a connection for each one that it takes.
 *   Without a free descriptor the listeners could not even take connections to
 *   refuse them, and would be reported as readable for ever.
 */
export type DescriptorRoom = "enough" | "few" | "operators" | "last";

/** Whether a client's connection must be reset at once. */
export function isTooFew(room: DescriptorRoom): boolean {
  return room === "operators" || room === "last";
}

/** The limit of open files of this process. */
export interface Descriptors {
  /**
   * The room that is left when the kernel has just given `fd`, the lowest free
   * number. A low number says nothing of the room above it: after one close in
   * the middle the next number is low. So whoever may hold several of the last
   * descriptors counts them.
   */
  judge(fd: number): DescriptorRoom;
  /** Whether the limit allows `count` connections, with a descriptor for the client and one for the target each. */
  allowsConnections(count: number): boolean;
}
