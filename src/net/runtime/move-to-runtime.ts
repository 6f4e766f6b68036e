import type { Conn } from "../conn/conn.ts";
import { openLibc } from "../libc/libc.ts";
import { SocketConn, socketHandlers, type SocketOwner } from "./socket-conn.ts";

/**
 * Moves a detached connection to a socket of the runtime, which speaks TLS in
 * place. Unread bytes stay unread. Undefined when the connection is gone, or has
 * no TCP socket of its own (see `isMovable`).
 */
export async function moveToRuntime(conn: Conn): Promise<SocketConn | undefined> {
  const own = SocketConn.from(conn);
  if (own !== undefined) return own;
  const taken = conn.takeDescriptor?.();
  if (taken === undefined) return undefined;
  const { promise, resolve } = Promise.withResolvers<SocketConn | undefined>();
  adoptDescriptor<SocketOwner>({
    fd: taken.fd,
    allowHalfOpen: true,
    socket: {
      ...socketHandlers,
      open(socket) {
        const moved = new SocketConn(socket, false, conn.timers);
        socket.data = moved;
        if (taken.unread !== undefined) moved.unread(taken.unread);
        resolve(moved);
      },
    },
  }).catch(() => {
    // Bun did not take it.
    openLibc()?.close(taken.fd);
    resolve(undefined);
  });
  const moved = await promise;
  moved?.watchPeer();
  return moved;
}

/** Whether `moveToRuntime` can move the connection. TLS within TLS it cannot. */
export function isMovable(conn: Conn): boolean {
  return !conn.encrypted && (conn.takeDescriptor !== undefined || SocketConn.from(conn) !== undefined);
}

/**
 * Makes a Bun socket of a descriptor that is already connected, or connecting.
 * The socket owns the descriptor from then on.
 */
export function adoptDescriptor<Data = undefined>(options: Bun.FdSocketOptions<Data>): Promise<Bun.Socket<Data>> {
  // The declarations of Bun 1.4.5 describe these options but have no overload that takes them.
  return Bun.connect<Data>(options as unknown as Bun.UnixSocketOptions<Data>);
}
