import type { Conn } from "../../net/conn.ts";
import { type LoopbackPair, openLoopbackPair } from "../../net/loopback-pair.ts";
import { type SecureResult, secureSocket } from "../../net/secure-socket.ts";
import { SocketConn } from "../../net/socket-conn.ts";
import type { TlsFailureKind } from "../../net/tls-error.ts";
import { fail, type Failure, type FailureDetail, type Outcome, succeed } from "../failure.ts";
import { relay } from "../tunnel/relay.ts";
import { failHop, type HopLeg } from "./hop-leg.ts";

const tlsDetails: Readonly<Record<TlsFailureKind, FailureDetail>> = {
  certificate: "tls_certificate",
  alert: "tls_alert",
  protocol: "tls_protocol",
};

/** Speaks TLS to the upstream at the end of `leg` and verifies it. The result takes the place of the leg's connection. */
export async function secureLeg(leg: HopLeg): Promise<Outcome<Conn>> {
  const { hop, limit } = leg;
  const socket = await takeSocket(leg);
  if (!socket.ok) return socket;
  const { serverName, ca, cert, key } = hop.tls ?? { serverName: hop.endpoint.host.text };
  const options = {
    serverName,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
  const secured = await new Promise<SecureResult | undefined>((resolve) => {
    const attempt = secureSocket(socket.value, options, resolve);
    limit.whenOver(() => {
      attempt.cancel();
      resolve(undefined);
    });
  });
  limit.forget();
  if (secured === undefined) return explainLimit(leg);
  return secured.ok ? succeed(secured.conn) : failHop(leg, tlsDetails[secured.kind], { note: secured.note });
}

/**
 * Gives a plain socket that leads to the upstream. Bun encrypts a socket in
 * place, but not one that it encrypts already: for TLS inside TLS the inner one
 * gets a socket of its own, whose other end is relayed into the outer one.
 */
async function takeSocket(leg: HopLeg): Promise<Outcome<SocketConn>> {
  const { conn, limit } = leg;
  if (conn instanceof SocketConn && !conn.encrypted) return succeed(conn);
  const pair = await new Promise<LoopbackPair | undefined>((resolve) => {
    const attempt = openLoopbackPair(resolve);
    limit.whenOver(() => {
      attempt.cancel();
      resolve(undefined);
    });
  });
  limit.forget();
  if (pair === undefined) return limit.over === undefined ? failHop(leg, "out_of_resources") : explainLimit(leg);
  const [inner, outer] = pair;
  // Nobody waits for the end of this relay: the tunnel ends it from either side.
  void relay(outer, conn, { idleMs: 0 }).done;
  return succeed(inner);
}

function explainLimit(leg: HopLeg): { ok: false; failure: Failure } {
  return leg.limit.over === "client_gone"
    ? fail("client_gone")
    : failHop(leg, "upstream_timeout", { note: "in the TLS handshake" });
}
