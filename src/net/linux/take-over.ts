import type { Libc } from "./libc.ts";
import { duplicateDescriptor } from "./socket.ts";

/** What is needed of a Bun socket to take its connection away. */
export interface Detachable {
  readonly fd: number;
  pause(): unknown;
  resume(): unknown;
  close(): unknown;
}

/**
 * Takes a TCP connection out of Bun and returns its descriptor, which is the
 * caller's from then on; negative at the descriptor limit, and then the socket
 * is as it was.
 *
 * The peer notices nothing: closing one of two descriptors sends neither FIN
 * nor RST, and what arrives meanwhile waits in the kernel. (`terminate()` would
 * not do: it sets `SO_LINGER` on what both descriptors share.) The socket's
 * `close` handler runs before this returns or soon after. No byte may wait in
 * Bun to be written, and the TLS legs of a connection cannot be taken.
 */
export function takeOverSocket(libc: Libc, socket: Detachable): number {
  socket.pause();
  const fd = duplicateDescriptor(libc, socket.fd);
  if (fd < 0) socket.resume();
  else socket.close();
  return fd;
}

/** Takes both ends of a tunnel out of Bun, or neither: undefined at the descriptor limit, and then both go on reading. */
export function takeOverPair(libc: Libc, first: Detachable, second: Detachable): readonly [number, number] | undefined {
  first.pause();
  second.pause();
  const firstFd = duplicateDescriptor(libc, first.fd);
  const secondFd = firstFd < 0 ? firstFd : duplicateDescriptor(libc, second.fd);
  if (secondFd < 0) {
    if (firstFd >= 0) libc.close(firstFd);
    first.resume();
    second.resume();
    return undefined;
  }
  first.close();
  second.close();
  return [firstFd, secondFd];
}
