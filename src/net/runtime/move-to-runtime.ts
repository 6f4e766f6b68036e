import type { Conn } from "../conn/conn.ts";
import { adoptDescriptor } from "../epoll/adopt-descriptor.ts";
import { openLibc } from "../libc/libc.ts";
import { SocketConn, socketConnHandlers } from "./socket-conn.ts";

/**
 * Drives a connection, which must be detached, over a socket of the runtime:
 * for TLS, which the runtime speaks in place. What is unread stays so. Undefined
 * when the connection is gone, or has no TCP socket of its own (see `isMovable`).
 */
export async function moveToRuntime(conn: Conn): Promise<SocketConn | undefined> {
  const own = SocketConn.from(conn);
  if (own !== undefined) return own;
  const taken = conn.takeDescriptor?.();
  if (taken === undefined) return undefined;
  const { promise, resolve } = Promise.withResolvers<SocketConn | undefined>();
  adoptDescriptor<SocketConn>({
    fd: taken.fd,
    allowHalfOpen: true,
    socket: {
      ...socketConnHandlers,
      open(socket) {
        socket.data = new SocketConn(socket, false, conn.timers);
        if (taken.unread !== undefined) socket.data.unread(taken.unread);
        resolve(socket.data);
      },
    },
  }).catch(() => {
    // It was not taken, so it is still ours.
    openLibc()?.close(taken.fd);
    resolve(undefined);
  });
  const moved = await promise;
  moved?.watchPeer();
  return moved;
}

/** Whether the runtime can drive the connection in clear. It cannot encrypt one that it encrypts already. */
export function isMovable(conn: Conn): boolean {
  return !conn.encrypted && (conn.takeDescriptor !== undefined || SocketConn.from(conn) !== undefined);
}
