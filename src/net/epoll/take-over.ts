import type { Libc } from "../libc/libc.ts";

/** A TCP connection that can be taken away from where it is, without its peer noticing anything. */
export interface Detachable {
  /** Has it read no more and gives its descriptor, which is the caller's from then on; negative at the descriptor limit. */
  take(libc: Libc): number;
  /** Takes a descriptor back and reads on. */
  giveBack(libc: Libc, fd: number): void;
  /** Forgets the connection. Its close is told to nobody. */
  leave(): void;
}

/** Takes both ends of a tunnel, or neither: undefined at the descriptor limit, and then both go on reading. What arrives meanwhile waits in the kernel. */
export function takeOverPair(libc: Libc, first: Detachable, second: Detachable): readonly [number, number] | undefined {
  const firstFd = first.take(libc);
  if (firstFd < 0) return undefined;
  const secondFd = second.take(libc);
  if (secondFd < 0) {
    first.giveBack(libc, firstFd);
    return undefined;
  }
  first.leave();
  second.leave();
  return [firstFd, secondFd];
}
