import type { Conn } from "./conn.ts";
import type { ClientTlsOptions, SecureAttempt, SecureResult } from "./secure-attempt.ts";
import { secureSocket } from "./secure-socket.ts";
import { secureStream } from "./secure-stream.ts";
import { SocketConn } from "./socket-conn.ts";

/**
 * Speaks TLS as the client over `conn`, which must be detached, and verifies the
 * server. On success `conn` belongs to the encrypted connection given to `done`;
 * on failure it is closed. There is no deadline.
 *
 * @throws when the texts of `options` are no PEM: the configuration is wrong.
 */
export function secureClient(
  conn: Conn,
  options: ClientTlsOptions,
  done: (result: SecureResult) => void,
): SecureAttempt {
  // Bun encrypts a socket in place, but not one that it encrypts already.
  if (!(conn instanceof SocketConn) || conn.encrypted) return secureStream(conn, options, done);
  return secureSocket(conn, options, done);
}
