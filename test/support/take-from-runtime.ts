import type { Libc } from "../../src/net/libc/libc.ts";
import { duplicateDescriptor } from "../../src/net/libc/socket.ts";

/** Takes a TCP connection out of Bun and gives its descriptor. Its peer notices nothing. */
export function takeFromRuntime<Data>(libc: Libc, socket: Bun.Socket<Data>): number {
  socket.pause();
  const fd = duplicateDescriptor(libc, (socket as unknown as { fd: number }).fd);
  socket.close();
  return fd;
}
