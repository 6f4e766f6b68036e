import { judgeDescriptor } from "./linux/spare-descriptors.ts";
import { SocketConn, socketConnHandlers } from "./socket-conn.ts";

/** A bound and accepting TCP listener. */
export interface TcpListener {
  /** As bound: the real port when 0 was asked for. */
  readonly host: string;
  readonly port: number;
  /** Stops accepting and frees the port. Connections live on. */
  stop(): void;
}

export type ListenResult =
  | { readonly ok: true; readonly listener: TcpListener }
  /** `code` is the errno word (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`). */
  | { readonly ok: false; readonly code: string };

/**
 * Binds a TCP listener and hands every accepted connection to `accept`,
 * half-open allowed, with nothing of it read yet.
 */
export function listenTcp(host: string, port: number, accept: (conn: SocketConn) => void): ListenResult {
  try {
    const server = Bun.listen<SocketConn>({
      hostname: host,
      port,
      exclusive: true,
      allowHalfOpen: true,
      socket: {
        ...socketConnHandlers,
        open(socket) {
          const conn = new SocketConn(socket, false);
          socket.data = conn;
          if (judgeDescriptor(conn.fd) === "last") {
            conn.reset();
            return;
          }
          conn.watchPeer();
          accept(conn);
        },
      },
    });
    return { ok: true, listener: { host, port: server.port, stop: () => server.stop(false) } };
  } catch (error) {
    return { ok: false, code: readErrnoWord(error) };
  }
}

function readErrnoWord(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "EUNKNOWN";
}
