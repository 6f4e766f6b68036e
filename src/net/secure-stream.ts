import { connect, type TLSSocket } from "node:tls";
import { isIP } from "node:net";
import type { Conn } from "./conn.ts";
import { ConnDuplex } from "./conn-duplex.ts";
import type { ClientTlsOptions, SecureAttempt, SecureResult } from "./secure-attempt.ts";
import { type ByteSocket, SocketConn } from "./socket-conn.ts";
import { explainTlsError } from "./tls-error.ts";

/** Speaks TLS as the client inside any connection, as `secureClient` does. */
export function secureStream(
  carrier: Conn,
  options: ClientTlsOptions,
  done: (result: SecureResult) => void,
): SecureAttempt {
  const duplex = new ConnDuplex(carrier);
  const stream = connect({
    socket: duplex,
    rejectUnauthorized: true,
    // Node refuses an address as SNI; the certificate is checked against `host` then.
    ...(isIP(options.serverName) === 0 ? { servername: options.serverName } : { host: options.serverName }),
    ...(options.ca === undefined ? {} : { ca: [...options.ca] }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
  });
  stream.allowHalfOpen = true;
  let over = false;

  const fail = (error: Error | undefined) => {
    if (over) return;
    over = true;
    stream.destroy();
    carrier.reset();
    done({ ok: false, ...explainTlsError(error, options.serverName) });
  };
  stream.on("error", fail);
  stream.on("close", () => fail(undefined));
  stream.on("end", () => fail(undefined));
  stream.on("secureConnect", () => {
    if (over) return;
    over = true;
    done({ ok: true, conn: connectStream(stream, carrier) });
  });
  return {
    cancel() {
      if (over) return;
      over = true;
      stream.destroy();
      carrier.reset();
    },
  };
}

/** Makes the connection of a TLS stream whose handshake is done. */
function connectStream(stream: TLSSocket, carrier: Conn): Conn {
  const conn = new SocketConn(new StreamSocket(stream, carrier), true);
  let failure: Error | undefined;
  stream.removeAllListeners("end");
  stream.on("data", (chunk: Uint8Array) => conn.onData(chunk));
  stream.on("end", () => conn.onEnd());
  stream.on("drain", () => conn.onDrain());
  stream.on("error", (error) => {
    failure = error;
  });
  stream.on("close", () => conn.onClose(failure));
  return conn;
}

/** A stream in the shape of a socket. */
class StreamSocket implements ByteSocket {
  readonly #stream: TLSSocket;
  readonly #carrier: Conn;

  constructor(stream: TLSSocket, carrier: Conn) {
    this.#stream = stream;
    this.#carrier = carrier;
  }

  get remoteAddress(): string {
    return this.#carrier.remoteAddress;
  }
  get remotePort(): number {
    return this.#carrier.remotePort;
  }
  get localAddress(): string {
    return this.#carrier.localAddress;
  }
  get localPort(): number {
    return this.#carrier.localPort;
  }

  /** Takes all or nothing: the stream keeps what the carrier has no room for, one write at a time. */
  write(bytes: Uint8Array): number {
    if (this.#stream.destroyed || this.#stream.writableEnded) return -1;
    if (this.#stream.writableNeedDrain) return 0;
    // The stream may hold on to it, and the bytes are the caller's.
    this.#stream.write(bytes.slice());
    return bytes.length;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** TLS has its own end of writing, and FIN follows it. */
  shutdown(): void {
    this.#stream.end();
  }

  end(): void {
    this.#stream.end();
    // Nobody reads any more: the rest is let go, so that the end can come.
    this.#stream.removeAllListeners("data").resume();
    this.#stream.on("end", () => this.#stream.destroySoon());
  }

  close(): void {
    this.end();
  }

  terminate(): void {
    this.#carrier.reset();
    this.#stream.destroy();
  }

  setNoDelay(): boolean {
    return true;
  }

  setKeepAlive(): boolean {
    return true;
  }
}
