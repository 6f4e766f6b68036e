import { isIP } from "node:net";
import type { Socket, SocketHandler } from "bun";
import type { Conn } from "../conn/conn.ts";
import type { LoopTimers } from "../conn/loop-timers.ts";
import { findIdentityFault, toPresented } from "./server-identity.ts";
import { SocketConn } from "./socket-conn.ts";
import { endsWithAlert, MAX_ALERT_BYTES } from "../../protocol/tls/read/alert.ts";
import { explainTlsError, readAlertName, type TlsFailure } from "./tls-error.ts";

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
 * Whether an encrypted connection that ended was cut: the peer's FIN came without
 * a close_notify, which somebody on the way can bring about (RFC 8446 §6.1).
 */
export function wasCut(conn: Conn): boolean {
  const secured = SocketConn.from(conn);
  return secured instanceof SecuredConn && secured.wasCut;
}

/** What Bun says of a certificate that is in order, but somebody else's. */
const ALTNAME_INVALID = "ERR_TLS_CERT_ALTNAME_INVALID";

/** While in the handshake, `data` is the handshake; afterwards it is the connection. */
type TlsSocket = Socket<Handshake | SocketConn>;

/**
 * Speaks TLS as the client over a TCP connection, which must be detached and
 * plain, and verifies the server. The socket is encrypted in place: on success
 * only the connection given to `done` is of use, on failure it is closed. There
 * is no deadline.
 *
 * @throws when the texts of `options` are no PEM: the configuration is wrong.
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
  const [raw, secured] = (conn.socket as unknown as TlsSocket).upgradeTLS<Handshake | SocketConn>({
    data: handshake,
    tls: {
      // An address is no SNI (RFC 6066 §3), and Bun would send it; and without a name it would verify another one.
      serverName: isName ? toPresented(options.serverName) : "",
      rejectUnauthorized: isName,
      ...(options.ca === undefined ? {} : { ca: [...options.ca] }),
      ...(options.cert === undefined ? {} : { cert: options.cert }),
      ...(options.key === undefined ? {} : { key: options.key }),
    },
    socket: handlers,
  });
  // The handlers of before go on to see the encrypted bytes.
  const encrypted = new EncryptedBytes(raw as Socket<SocketConn>, false, conn.timers);
  raw.data = encrypted;
  handshake.begin(secured, encrypted);
  return handshake;
}

/** Sees the encrypted bytes on their way to be decrypted: Bun tells of a close_notify and of a mere FIN alike. */
class EncryptedBytes extends SocketConn {
  #tail: Uint8Array = new Uint8Array(0);

  override onData(chunk: Uint8Array): void {
    const last = chunk.subarray(-MAX_ALERT_BYTES);
    // A copy: Bun uses its memory again.
    this.#tail =
      last.length === MAX_ALERT_BYTES
        ? new Uint8Array(last)
        : new Uint8Array(Buffer.concat([this.#tail, last]).subarray(-MAX_ALERT_BYTES));
  }

  override onEnd(): void {
    // The encrypted connection tells.
  }

  get endsWithAlert(): boolean {
    return endsWithAlert(this.#tail);
  }
}

class SecuredConn extends SocketConn {
  /** It ended without a close_notify. */
  wasCut = false;
  readonly #bytes: EncryptedBytes | undefined;

  constructor(socket: Socket<SocketConn>, timers: LoopTimers, bytes: EncryptedBytes | undefined) {
    super(socket, true, timers);
    this.#bytes = bytes;
  }

  override onEnd(): void {
    this.wasCut ||= this.#bytes?.endsWithAlert === false;
    super.onEnd();
  }

  override onClose(error: Error | undefined): void {
    // Bun may leave the end out.
    if (!this.ended) this.wasCut ||= this.#bytes?.endsWithAlert === false;
    super.onClose(error);
  }
}

class Handshake implements SecureAttempt {
  readonly #serverName: string;
  readonly #timers: LoopTimers;
  readonly #done: (result: SecureResult) => void;
  #socket: TlsSocket | undefined;
  #encrypted: EncryptedBytes | undefined;
  #over = false;

  constructor(serverName: string, timers: LoopTimers, done: (result: SecureResult) => void) {
    this.#serverName = serverName;
    this.#timers = timers;
    this.#done = done;
  }

  begin(socket: TlsSocket, encrypted: EncryptedBytes): void {
    this.#socket = socket;
    this.#encrypted = encrypted;
  }

  /**
   * Whether the certificate is signed by somebody who is trusted, and for the
   * name. For an address Bun has compared it with another name, after it has
   * verified who signed it: whose it is remains to be judged here.
   */
  trusts(socket: TlsSocket, verified: boolean, error: Error | null): boolean {
    if (isIP(this.#serverName) === 0) return verified;
    if (error === null || error === undefined) return socket.authorized;
    return "code" in error && error.code === ALTNAME_INVALID;
  }

  succeed(socket: TlsSocket): void {
    if (this.#over) return;
    // Of an address Bun does not verify whose certificate it is, and of a name it is content with less.
    const fault = findIdentityFault(socket.getPeerCertificate().raw, this.#serverName);
    if (fault !== undefined) {
      this.#settle({ kind: "certificate", note: `the certificate ${fault}` });
      return;
    }
    this.#over = true;
    const conn = new SecuredConn(socket as Socket<SocketConn>, this.#timers, this.#encrypted);
    socket.data = conn;
    this.#done({ ok: true, conn });
  }

  /** `error` undefined: the connection ended in order. */
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
    // Bun leaves a connection open whose certificate it does not trust.
    this.#socket?.terminate();
    this.#done({ ok: false, ...failure });
  }
}

const handlers: SocketHandler<Handshake | SocketConn> = {
  handshake(socket, verified, error) {
    if (!(socket.data instanceof Handshake)) return;
    if (socket.data.trusts(socket, verified, error)) socket.data.succeed(socket);
    else socket.data.fail(error ?? undefined);
  },
  data(socket, chunk) {
    if (socket.data instanceof SocketConn) socket.data.onData(chunk);
  },
  end(socket) {
    if (socket.data instanceof SocketConn) socket.data.onEnd();
  },
  drain(socket) {
    if (socket.data instanceof SocketConn) socket.data.onDrain();
  },
  close(socket, error) {
    if (socket.data instanceof SocketConn) socket.data.onClose(error);
    else socket.data.fail(error);
  },
  error(socket, error) {
    if (!(socket.data instanceof SocketConn)) {
      socket.data.fail(error);
      return;
    }
    socket.data.tlsAlert = readAlertName(error);
    socket.data.onClose(error);
    socket.terminate();
  },
};
