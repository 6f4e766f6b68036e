/** A TCP connection that can leave its event loop without its peer noticing anything. */
export interface Detachable {
  /** Reads no more and gives the descriptor, which is the caller's from then on; negative at the descriptor limit. */
  take(): number;
  /** Takes a descriptor back and reads on. */
  giveBack(fd: number): void;
  /** Forgets the connection. Its close is told to nobody. */
  leave(): void;
}

/** A descriptor that left its connection, and the bytes of it that nobody has consumed. */
export interface TakenDescriptor {
  readonly fd: number;
  readonly unread: Uint8Array | undefined;
}

/** Takes both ends of a tunnel, or neither: undefined at the descriptor limit, and then both go on reading. What arrives meanwhile waits in the kernel. */
export function takeOverPair(first: Detachable, second: Detachable): readonly [number, number] | undefined {
  const firstFd = first.take();
  if (firstFd < 0) return undefined;
  const secondFd = second.take();
  if (secondFd < 0) {
    first.giveBack(firstFd);
    return undefined;
  }
  first.leave();
  second.leave();
  return [firstFd, secondFd];
}
