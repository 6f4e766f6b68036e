import { isIP } from "node:net";
import type { SocketHandler } from "bun";
import type { Conn } from "../conn/conn.ts";
import type { LoopTimers } from "../conn/loop-timers.ts";
import { findIdentityFault, toPresented } from "./server-identity.ts";
import { type OwnedSocket, PendingSocket, SocketConn, socketHandlers, SocketOwner } from "./socket-conn.ts";
import { endsWithAlert, MAX_ALERT_BYTES } from "../../protocol/tls/read/alert.ts";
import { explainTlsError, type TlsFailure } from "./tls-error.ts";

export interface ClientTlsOptions {
  /** Name, or address, that the certificate must be for. A name is also sent as SNI (RFC 6066 §3). */
  readonly serverName: string;
  /** PEM texts of the only roots to trust; those that come with the program when absent. */
  readonly ca?: readonly string[];
  /** PEM texts of the certificate chain to show when asked for one, and of its key. */
  readonly cert?: string;
  readonly key?: string;
}

export type SecureResult = { readonly ok: true; readonly conn: Conn } | ({ readonly ok: false } & TlsFailure);

/** A TLS handshake under way. */
export interface SecureAttempt {
  /** Gives it up and resets the connection. `done` is not called any more. */
  cancel(): void;
}

/** Gives the name of the alert that ended an encrypted connection after its handshake, such as `certificate_required`. */
export function readTlsAlert(conn: Conn): string | undefined {
  return SocketConn.from(conn)?.tlsAlert;
}

/**
 * Whether an encrypted connection was cut: the peer's FIN came without a
 * close_notify, which an attacker on the path can cause (RFC 8446 §6.1).
 */
export function wasCut(conn: Conn): boolean {
  const secured = SocketConn.from(conn);
  return secured instanceof SecuredConn && secured.wasCut;
}

/** Bun's code for a valid certificate for another name. */
const ALTNAME_INVALID = "ERR_TLS_CERT_ALTNAME_INVALID";

/**
 * Speaks TLS as the client over a TCP connection, which must be detached and
 * plain, and verifies the server. TLS takes the socket over: on success only the
 * connection given to `done` is of use, on failure it is closed. There is no
 * deadline.
 *
 * @throws when a text of `options` is no PEM: the configuration is wrong.
 */
export function secureSocket(
  conn: SocketConn,
  options: ClientTlsOptions,
  done: (result: SecureResult) => void,
): SecureAttempt {
  const handshake = new Handshake(options.serverName, conn.timers, done);
  const isName = isIP(options.serverName) === 0;
  if (conn.unreadBytes > 0) {
    conn.reset();
    handshake.failSoon({ kind: "protocol", note: "the server spoke before the handshake" });
    return handshake;
  }
  const [raw, secured] = conn.socket.upgradeTLS<SocketOwner>({
    data: handshake,
    tls: {
      // An address is no SNI (RFC 6066 §3), but Bun would send it. Without a name Bun verifies against another one.
      serverName: isName ? toPresented(options.serverName) : "",
      rejectUnauthorized: isName,
      ...(options.ca === undefined ? {} : { ca: [...options.ca] }),
      ...(options.cert === undefined ? {} : { cert: options.cert }),
      ...(options.key === undefined ? {} : { key: options.key }),
    },
    socket: handlers,
  });
  // The first handlers still get the encrypted bytes.
  const encrypted = new EncryptedBytes();
  raw.data = encrypted;
  handshake.begin(secured, encrypted);
  return handshake;
}

/** Keeps the last encrypted bytes: Bun does not tell a close_notify from a FIN without it. */
class EncryptedBytes extends SocketOwner {
  #tail: Uint8Array = new Uint8Array(0);

  override onData(chunk: Uint8Array): void {
    const last = chunk.subarray(-MAX_ALERT_BYTES);
    // A copy: the bytes are lent.
    this.#tail =
      last.length === MAX_ALERT_BYTES
        ? new Uint8Array(last)
        : new Uint8Array(Buffer.concat([this.#tail, last]).subarray(-MAX_ALERT_BYTES));
  }

  get endsWithAlert(): boolean {
    return endsWithAlert(this.#tail);
  }
}

class SecuredConn extends SocketConn {
  /** It ended without a close_notify. */
  wasCut = false;
  readonly #bytes: EncryptedBytes | undefined;

  constructor(socket: OwnedSocket, timers: LoopTimers, bytes: EncryptedBytes | undefined) {
    super(socket, true, timers);
    this.#bytes = bytes;
  }

  override onEnd(): void {
    this.wasCut ||= this.#bytes?.endsWithAlert === false;
    super.onEnd();
  }

  override onClose(error: Error | undefined): void {
    // Bun may omit the end.
    if (!this.ended) this.wasCut ||= this.#bytes?.endsWithAlert === false;
    super.onClose(error);
  }
}

class Handshake extends PendingSocket implements SecureAttempt {
  readonly #serverName: string;
  readonly #timers: LoopTimers;
  readonly #done: (result: SecureResult) => void;
  #socket: OwnedSocket | undefined;
  #encrypted: EncryptedBytes | undefined;
  #over = false;

  constructor(serverName: string, timers: LoopTimers, done: (result: SecureResult) => void) {
    super();
    this.#serverName = serverName;
    this.#timers = timers;
    this.#done = done;
  }

  begin(socket: OwnedSocket, encrypted: EncryptedBytes): void {
    this.#socket = socket;
    this.#encrypted = encrypted;
  }

  /**
   * Whether a trusted authority signed the certificate, and for a name also
   * whether it is for it. For an address Bun compares it with another name, after
   * it verified the signature; `succeed` compares it with the address.
   */
  trusts(socket: OwnedSocket, verified: boolean, error: Error | null): boolean {
    if (isIP(this.#serverName) === 0) return verified;
    if (error === null || error === undefined) return socket.authorized;
    return "code" in error && error.code === ALTNAME_INVALID;
  }

  succeed(socket: OwnedSocket): void {
    if (this.#over) return;
    // Bun does not compare addresses, and is less strict about names.
    const fault = findIdentityFault(socket.getPeerCertificate().raw, this.#serverName);
    if (fault !== undefined) {
      this.#settle({ kind: "certificate", note: `the certificate ${fault}` });
      return;
    }
    this.#over = true;
    const conn = new SecuredConn(socket, this.#timers, this.#encrypted);
    socket.data = conn;
    this.#done({ ok: true, conn });
  }

  fail(error: Error | undefined): void {
    this.#settle(explainTlsError(error, this.#serverName));
  }

  failSoon(failure: TlsFailure): void {
    queueMicrotask(() => this.#settle(failure));
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket?.terminate();
  }

  #settle(failure: TlsFailure): void {
    if (this.#over) return;
    this.#over = true;
    // Bun leaves a connection with an untrusted certificate open.
    this.#socket?.terminate();
    this.#done({ ok: false, ...failure });
  }
}

const handlers: SocketHandler<SocketOwner> = {
  ...socketHandlers,
  handshake(socket, verified, error) {
    if (!(socket.data instanceof Handshake)) return;
    if (socket.data.trusts(socket, verified, error)) socket.data.succeed(socket);
    else socket.data.fail(error ?? undefined);
  },
};
