import type { Conn } from "../../net/conn/conn.ts";
import { type LoopbackPair, openLoopbackPair } from "../../net/conn/loopback-pair.ts";
import { type ClientTlsOptions, type SecureResult, secureSocket } from "../../net/runtime/secure-socket.ts";
import { isMovable, moveToRuntime } from "../../net/runtime/move-to-runtime.ts";
import type { SocketConn } from "../../net/runtime/socket-conn.ts";
import type { TlsFailureKind } from "../../net/runtime/tls-error.ts";
import { fail, type FailureDetail, type Outcome, succeed } from "../failure.ts";
import { relay } from "../flow/relay.ts";
import type { TimeLimit } from "../../net/conn/time-limit.ts";

const tlsDetails: Readonly<Record<TlsFailureKind, FailureDetail>> = {
  certificate: "tls_certificate",
  alert: "tls_alert",
  protocol: "tls_protocol",
};

/**
 * Speaks TLS as the client over a detached connection and verifies the server
 * within the limit of the dial. The result replaces `conn`. Fails with
 * `connection_timeout` or `client_gone` when the limit is reached.
 */
export async function secureConn(conn: Conn, options: ClientTlsOptions, limit: TimeLimit): Promise<Outcome<Conn>> {
  const socket = await takeSocket(conn, limit);
  if (!socket.ok) return socket;
  const secured = await new Promise<SecureResult | undefined>((resolve) => {
    const attempt = secureSocket(socket.value, options, resolve);
    limit.whenOver(() => {
      attempt.cancel();
      resolve(undefined);
    });
  });
  limit.forget();
  if (secured === undefined) return explainLimit(limit);
  return secured.ok ? succeed(secured.conn) : fail(tlsDetails[secured.kind], { note: secured.note });
}

/**
 * Gives a plain socket that leads to the same peer. Bun encrypts a socket in
 * place, but not one that it encrypts already: TLS inside TLS gets a socket of
 * its own, whose other end is relayed into the outer TLS.
 */
async function takeSocket(conn: Conn, limit: TimeLimit): Promise<Outcome<SocketConn>> {
  if (isMovable(conn)) {
    const moved = await moveToRuntime(conn);
    return moved === undefined ? fail("connection_reset") : succeed(moved);
  }
  const pair = await new Promise<LoopbackPair | undefined>((resolve) => {
    const attempt = openLoopbackPair(conn.timers, resolve);
    limit.whenOver(() => {
      attempt.cancel();
      resolve(undefined);
    });
  });
  limit.forget();
  if (pair === undefined) return limit.over === undefined ? fail("out_of_resources") : explainLimit(limit);
  const [inner, outer] = pair;
  // The tunnel ends this relay from either side; nothing waits for its end.
  void relay(outer, conn, { idleMs: 0 }).done;
  return succeed(inner);
}

function explainLimit(limit: TimeLimit): ReturnType<typeof fail> {
  return limit.over === "client_gone"
    ? fail("client_gone")
    : fail("connection_timeout", { note: "in the TLS handshake" });
}
