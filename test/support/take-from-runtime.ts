import type { Libc } from "../../src/net/linux/libc.ts";
import { duplicateDescriptor } from "../../src/net/linux/socket.ts";

/** Takes a TCP connection out of Bun and gives its descriptor. Its peer notices nothing. */
export function takeFromRuntime<Data>(libc: Libc, socket: Bun.Socket<Data>): number {
  socket.pause();
  const fd = duplicateDescriptor(libc, (socket as unknown as { fd: number }).fd);
  socket.close();
  return fd;
}
