import { isIP } from "node:net";
import type { Socket, SocketHandler } from "bun";
import type { Conn } from "../conn/conn.ts";
import type { LoopTimers } from "../conn/loop-timers.ts";
import { findIdentityFault, toPresented } from "./server-identity.ts";
import { SocketConn } from "./socket-conn.ts";
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
  raw.data = new DeafConn(raw as Socket<SocketConn>, false, conn.timers);
  handshake.begin(secured);
  return handshake;
}

/** Takes what nobody is to have. */
class DeafConn extends SocketConn {
  override onData(): void {
    // Encrypted bytes, on their way to be decrypted.
  }
  override onEnd(): void {
    // The encrypted connection tells.
  }
}

class Handshake implements SecureAttempt {
  readonly #serverName: string;
  readonly #timers: LoopTimers;
  readonly #done: (result: SecureResult) => void;
  #socket: TlsSocket | undefined;
  #over = false;

  constructor(serverName: string, timers: LoopTimers, done: (result: SecureResult) => void) {
    this.#serverName = serverName;
    this.#timers = timers;
    this.#done = done;
  }

  begin(socket: TlsSocket): void {
    this.#socket = socket;
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
    const conn = new SocketConn(socket as Socket<SocketConn>, true, this.#timers);
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
