/** What the process knows of its limit of open files. */
export interface Descriptors {
  /**
   * How far the process is from its limit, told by a descriptor that it was just
   * given: the kernel hands out the lowest free number.
   *
   * - `enough`: nearly always.
   * - `few`: nothing that lasts is begun with it. A connection is told why.
   * - `last`: it is closed at once. Without a free descriptor the listeners could
   *   not even take connections to refuse them, and would be reported as readable
   *   for ever.
   */
  judge(fd: number): "enough" | "few" | "last";
  /** Whether the limit allows for so many connections: each needs a descriptor for its client, and one for its target. */
  allowsConnections(count: number): boolean;
}
