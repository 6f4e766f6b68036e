import type { AddressSet } from "../../address/address-set.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { moveToRuntime } from "../../net/runtime/move-to-runtime.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import type { ServerTls } from "../../net/runtime/server-tls.ts";
import { startServerTls } from "../../net/runtime/start-server-tls.ts";
import { parseProxyHeader } from "../../protocol/proxy-header/proxy-header.ts";
import { fail, type Failure, type FailureDetail, type Outcome, succeed } from "../failure.ts";
import { remainingHandshakeMs } from "../read/handshake-deadline.ts";
import type { ClientProtocol, Session } from "../session.ts";
import type { ConnectionSlots } from "../limit/connection-slots.ts";

/** What a listener asks of a connection before its first request. */
export interface Listener {
  /** `host:port` as bound. */
  readonly name: string;
  /** What may be spoken here. */
  readonly protocols: ReadonlySet<ClientProtocol>;
  /** Peers that must say with a PROXY header whom they speak for; nobody else may. */
  readonly proxyFrom: AddressSet;
  /** The server's side of TLS as it is now: certificates may change while the listener stands. */
  readonly tls: { readonly current: ServerTls } | undefined;
}

/** The longest PROXY header: version 2 with all the TLVs that are taken (16 + 4096 bytes). */
const MAX_HEADER_BYTES = 4112;

/** The connection to go on with; or why not, and the connection over which the client is told, which is closed when it cannot be. */
export type Accepted =
  | { readonly ok: true; readonly conn: Conn }
  /** `silent`: the client said nothing before it left or its time was over, and nothing failed. */
  | { readonly ok: false; readonly failure: Failure | "silent"; readonly conn: Conn };

/**
 * Leads a connection through its listener: the PROXY header of a load balancer,
 * a connection slot, then TLS. At once when the listener asks for neither header
 * nor TLS.
 */
export function accept(
  session: Session,
  conn: Conn,
  listener: Listener,
  slots: ConnectionSlots,
): Accepted | Promise<Accepted> {
  return listener.proxyFrom.has(session.client)
    ? acceptBehindProxy(session, conn, listener, slots)
    : admit(session, conn, listener, slots);
}

async function acceptBehindProxy(
  session: Session,
  conn: Conn,
  listener: Listener,
  slots: ConnectionSlots,
): Promise<Accepted> {
  const read = await readProxyHeader(session, conn);
  if (read === "silent") return leave(conn);
  return read.ok ? admit(session, conn, listener, slots) : turnAway(read.failure, conn, listener);
}

function admit(session: Session, conn: Conn, listener: Listener, slots: ConnectionSlots): Accepted | Promise<Accepted> {
  const failure = slots.takeForClient(session, conn.fd);
  if (failure !== undefined) return turnAway(failure, conn, listener);
  return listener.tls === undefined ? { ok: true, conn } : secure(session, conn, listener.tls);
}

function leave(conn: Conn): Accepted {
  conn.close();
  return { ok: false, failure: "silent", conn };
}

/** A client that waits for TLS does not understand an answer in clear. */
function turnAway(failure: Failure, conn: Conn, listener: Listener): Accepted {
  if (listener.tls !== undefined) conn.close();
  return { ok: false, failure, conn };
}

async function secure(session: Session, conn: Conn, tls: NonNullable<Listener["tls"]>): Promise<Accepted> {
  const socket = await moveToRuntime(conn);
  if (socket === undefined) return leave(conn);
  const secured = await startServerTls(socket, tls.current, remainingHandshakeMs(session));
  if (secured.ok) {
    const { certificate } = secured;
    // By whom it must be signed may change while the connection lasts.
    session.certificate = certificate && {
      user: certificate.user,
      findFault: (now) => certificate.findFault(tls.current.clientAuthorities, now),
    };
    return { ok: true, conn: secured.conn };
  }
  if (secured.kind === "silent") return leave(conn);
  if (secured.conn === undefined) conn.close();
  const { failure } = fail(tlsDetails[secured.kind], { note: secured.note });
  return { ok: false, failure, conn: secured.conn ?? conn };
}

const tlsDetails: Readonly<
  Record<"timeout" | "gone" | "plain_http" | "certificate" | "alert" | "protocol", FailureDetail>
> = {
  timeout: "handshake_timeout",
  gone: "client_gone",
  plain_http: "protocol_not_served",
  certificate: "certificate_required",
  alert: "client_tls_failed",
  protocol: "client_tls_failed",
};

/** Reads the true client from the PROXY header; a health check of the load balancer itself (`LOCAL`) stays its own. */
async function readProxyHeader(session: Session, conn: Conn): Promise<Outcome<undefined> | "silent"> {
  const read = await readMessage(conn, parseProxyHeader, {
    deadlineMs: remainingHandshakeMs(session),
    maxBytes: MAX_HEADER_BYTES,
  });
  if ((read.kind === "closed" || read.kind === "timeout") && read.received === 0) return "silent";
  switch (read.kind) {
    case "done":
      if (read.value.kind === "proxy") {
        session.client = read.value.source.ip;
        session.clientPort = read.value.source.port;
      }
      return succeed(undefined);
    case "bad":
      return fail("proxy_header_missing", { note: read.code });
    case "too_large":
      return fail("proxy_header_missing", { note: "too_large" });
    case "timeout":
      return fail("handshake_timeout", { note: "no PROXY header came in time" });
    case "closed":
      return fail("client_gone");
    default:
      return read satisfies never;
  }
}
