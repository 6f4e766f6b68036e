import type { DetailedPeerCertificate } from "node:tls";
import type { SocketHandler, TLSOptions } from "bun";
import { nameAlert } from "../../protocol/tls/read/iana.ts";
import { type ClientCertificate, takeClientCertificate } from "./client-certificate.ts";
import type { LoopTimers } from "../conn/loop-timers.ts";
import type { Conn } from "../conn/conn.ts";
import type { ServerTls } from "./server-tls.ts";
import type { TlsContext } from "./tls-contexts.ts";
import { type OwnedSocket, PendingSocket, SocketConn, socketHandlers, SocketOwner } from "./socket-conn.ts";
import { readAlertName } from "./tls-error.ts";

export type ServerHandshake =
  | {
      readonly ok: true;
      /** The encrypted connection, detached. What the client sent after the handshake waits in it. */
      readonly conn: Conn;
      /** The SNI of the client, as sent. */
      readonly serverName: string | undefined;
      /** The client's certificate, if it showed one that was accepted. */
      readonly certificate: ClientCertificate | undefined;
    }
  | ({ readonly ok: false } & ServerTlsFailure);

/**
 * - `silent`: no byte came before the client left or the deadline.
 * - `timeout`: the handshake was not done by the deadline.
 * - `gone`: the client ended or reset the connection.
 * - `plain_http`: the client speaks HTTP without TLS. It can still be answered, in clear.
 * - `certificate`: the client's certificate is missing, does not verify, or has no user's name.
 * - `alert`: the client ended the handshake and said why.
 * - `protocol`: the client speaks no TLS, or no version or cipher that is allowed.
 */
export interface ServerTlsFailure {
  readonly kind: "silent" | "timeout" | "gone" | "plain_http" | "certificate" | "alert" | "protocol";
  /** For people: what was found. */
  readonly note: string;
  /**
   * The connection over which the client can be told why, in HTTP: in clear after
   * `plain_http`, encrypted when its certificate is not accepted. The caller
   * closes it. Absent when the connection is closed already.
   */
  readonly conn?: Conn;
}

/** RFC 7301 §3.1: a list of one name with its length before it. */
const ALPN = {
  "http/1.1": Buffer.from("\x08http/1.1", "latin1"),
  "acme-tls/1": Buffer.from("\x0aacme-tls/1", "latin1"),
} as const;

/** What the server shows, and to whom. */
export interface ServerSide {
  readonly tls: ServerTls;
  /** The certificate that was chosen. */
  readonly context: TlsContext;
  /** The SNI that was found in the ClientHello. */
  readonly serverName: string | undefined;
  /** The only one that is offered. */
  readonly protocol: keyof typeof ALPN;
}

/** Carries a handshake out, beginning with the unread bytes of `conn`. */
export function handshakeAsServer(
  conn: SocketConn,
  { tls, context, serverName, protocol }: ServerSide,
  leftMs: number,
  signal?: AbortSignal,
): Promise<ServerHandshake> {
  return new Promise((resolve) => {
    const begun = takeUnread(conn);
    if (begun === undefined) {
      conn.close();
      resolve(gone);
      return;
    }
    const handshake = new Handshake(tls, serverName, conn.timers, leftMs, resolve);
    const options: TLSOptions & { secureContext: unknown } = {
      secureContext: context.native,
      ALPNProtocols: ALPN[protocol],
      requestCert: tls.clients !== "none",
      // Otherwise Bun closes the connection, and the client does not learn why.
      rejectUnauthorized: false,
    };
    const upgrade = { isServer: true, data: handshake, tls: options, initialData: begun, socket: handlers };
    const [raw] = conn.socket.upgradeTLS<SocketOwner>(upgrade);
    // The first handlers still get the encrypted bytes.
    raw.data = new Overhearer(handshake);
    // Nothing may be written in clear any more.
    conn.onClose(undefined);
    if (signal?.aborted === true) handshake.expire();
    else signal?.addEventListener("abort", () => handshake.expire(), { once: true });
  });
}

/** Takes all unread bytes; undefined when the connection has ended. */
function takeUnread(conn: SocketConn): Buffer | undefined {
  const chunks: Uint8Array[] = [];
  let open = !conn.closed;
  const stop = (): void => {
    open = false;
  };
  conn.attach({ data: (chunk) => chunks.push(new Uint8Array(chunk)), end: stop, drain: () => {}, close: stop });
  conn.detach();
  return open ? Buffer.concat(chunks) : undefined;
}

/**
 * Reads alerts in clear. Clients with OpenSSL send the alert that they do not
 * trust a certificate in clear, although TLS 1.3 has keys by then: the TLS
 * library reports only an unreadable record.
 */
class Overhearer extends SocketOwner {
  readonly #handshake: Handshake;

  constructor(handshake: Handshake) {
    super();
    this.#handshake = handshake;
  }

  override onData(chunk: Uint8Array): void {
    if (this.#handshake.over) return;
    const [type, major, , high, low, level, description] = chunk.subarray(-ALERT_BYTES);
    // RFC 8446 §6: an alert in clear has two bytes, an encrypted one has more.
    const isAlert = type === 0x15 && major === 3 && high === 0 && low === 2 && level === 2;
    if (isAlert && description !== undefined) this.#handshake.heardAlert = nameAlert(description);
  }
}

/** An alert with the header of its record. */
const ALERT_BYTES = 7;

/** A handshake under way. */
class Handshake extends PendingSocket {
  readonly #tls: ServerTls;
  readonly #serverName: string | undefined;
  readonly #timers: LoopTimers;
  readonly #resolve: (result: ServerHandshake) => void;
  readonly #deadline: Timer;
  /** The alert that the client sent in clear. */
  heardAlert: string | undefined;
  over = false;
  #socket: OwnedSocket | undefined;

  constructor(
    tls: ServerTls,
    serverName: string | undefined,
    timers: LoopTimers,
    leftMs: number,
    resolve: (result: ServerHandshake) => void,
  ) {
    super();
    this.#tls = tls;
    this.#serverName = serverName;
    this.#timers = timers;
    this.#resolve = resolve;
    this.#deadline = setTimeout(() => this.expire(), leftMs);
  }

  opened(socket: OwnedSocket): void {
    this.#socket = socket;
  }

  /** The TLS library is done; the client's certificate is judged here. */
  complete(socket: OwnedSocket): void {
    if (!this.#end()) return;
    const conn = new SocketConn(socket, true, this.#timers);
    socket.data = conn;
    const shown = judgeCertificate(socket, this.#tls, Date.now());
    this.#resolve(
      shown.ok
        ? { ok: true, conn, serverName: this.#serverName, certificate: shown.certificate }
        : failHandshake("certificate", shown.note, conn),
    );
  }

  fail(error: Error | undefined): void {
    if (!this.#end()) return;
    // In order, so that the alert to the client arrives.
    this.#socket?.end();
    this.#resolve(this.heardAlert === undefined ? explainClientError(error) : failHandshake("alert", this.heardAlert));
  }

  expire(): void {
    if (!this.#end()) return;
    this.#socket?.terminate();
    this.#resolve(failHandshake("timeout", "the TLS handshake was not over in time"));
  }

  #end(): boolean {
    if (this.over) return false;
    this.over = true;
    clearTimeout(this.#deadline);
    return true;
  }
}

/** What the types of Bun leave out: with `false` each certificate has that of its issuer. */
interface ShowsChain {
  getPeerCertificate(abbreviated: false): DetailedPeerCertificate | null;
}

/** Judges the certificate that the client showed or did not show. */
function judgeCertificate(
  socket: OwnedSocket,
  { clients, clientAuthorities }: ServerTls,
  now: number,
): { ok: true; certificate?: ClientCertificate } | { ok: false; note: string } {
  if (clients === "none") return { ok: true };
  const shown = (socket as unknown as ShowsChain).getPeerCertificate(false);
  if (shown?.raw === undefined) {
    return clients === "optional" ? { ok: true } : { ok: false, note: "the client showed no certificate" };
  }
  // The result of the verification, in a resumed session too.
  if (!socket.authorized) {
    const why = socket.getAuthorizationError()?.message ?? "it does not verify";
    return { ok: false, note: `the client's certificate is not accepted: ${why}` };
  }
  const certificate = takeClientCertificate(shown);
  if (certificate === undefined) return { ok: false, note: "the client's certificate names nobody" };
  // The TLS library verifies nothing when a session is resumed.
  const fault = certificate.findFault(clientAuthorities, now);
  return fault === undefined ? { ok: true, certificate } : { ok: false, note: `the client's certificate ${fault}` };
}

function explainClientError(error: Error | undefined): ServerHandshake {
  if (error === undefined) return gone;
  const alert = readAlertName(error);
  if (alert !== undefined) return failHandshake("alert", alert);
  // `error:100000f0:SSL routines:OPENSSL_internal:UNSUPPORTED_PROTOCOL`
  const reason = /:OPENSSL_internal:(\w+)/.exec(error.message)?.[1];
  if (reason === undefined) return gone;
  return failHandshake("protocol", reason.toLowerCase());
}

export function failHandshake(kind: ServerTlsFailure["kind"], note: string, conn?: Conn): ServerHandshake {
  return { ok: false, kind, note, ...(conn && { conn }) };
}

const gone = failHandshake("gone", "the client closed the connection in the handshake");

const handlers: SocketHandler<SocketOwner> = {
  ...socketHandlers,
  open(socket) {
    if (socket.data instanceof Handshake) socket.data.opened(socket);
  },
  handshake(socket, verified, error) {
    if (!(socket.data instanceof Handshake)) return;
    if (verified) socket.data.complete(socket);
    else socket.data.fail(error ?? undefined);
  },
};
