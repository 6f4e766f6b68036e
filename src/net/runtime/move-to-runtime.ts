import { adoptDescriptor } from "../epoll/adopt-descriptor.ts";
import { openLibc } from "../libc/libc.ts";
import { SocketConn, socketConnHandlers } from "./socket-conn.ts";
import type { TcpConn } from "../conn/tcp-conn.ts";

/**
 * Gives a connection, which must be detached, over a socket of the runtime: for
 * TLS, which the runtime speaks in place. What is unread stays so. Undefined
 * when the connection is gone.
 */
export async function moveToRuntime(conn: TcpConn): Promise<SocketConn | undefined> {
  if (conn instanceof SocketConn) return conn;
  const taken = conn.takeAway();
  if (taken === undefined) return undefined;
  const { promise, resolve } = Promise.withResolvers<SocketConn | undefined>();
  adoptDescriptor<SocketConn>({
    fd: taken.fd,
    allowHalfOpen: true,
    socket: {
      ...socketConnHandlers,
      open(socket) {
        socket.data = new SocketConn(socket, false);
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
