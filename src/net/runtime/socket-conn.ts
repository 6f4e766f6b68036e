import type { Socket, SocketHandler } from "bun";
import { BufferedConn } from "../conn/buffered-conn.ts";
import { type LoopTimers, turnOnKeepAlive } from "../conn/loop-timers.ts";
import type { Conn, Detachable } from "../conn/conn.ts";
import { openLibc } from "../libc/libc.ts";
import { duplicateDescriptor } from "../libc/socket.ts";
import { throwLater } from "../conn/throw-later.ts";
import { readAlertName } from "./tls-error.ts";

/** The `data` of a Bun socket: it gets the socket's events. This base class ignores all but errors. */
export class SocketOwner {
  onData(_chunk: Uint8Array): void {}
  onEnd(): void {}
  onDrain(): void {}
  onClose(_error: Error | undefined): void {}
  onError(_error: Error, socket: OwnedSocket): void {
    socket.terminate();
  }
}

export type OwnedSocket = Socket<SocketOwner>;

/** The owner of a socket that is no connection yet: an attempt to connect, or a handshake. */
export abstract class PendingSocket extends SocketOwner {
  /** `error` is undefined when the socket just closed. */
  abstract fail(error: Error | undefined): void;

  override onClose(error: Error | undefined): void {
    this.fail(error);
  }

  override onError(error: Error): void {
    this.fail(error);
  }
}

/**
 * A connection over a Bun socket, accepted or dialled, plain or TLS.
 *
 * Bun closes a socket by itself once FIN went both ways, and then `close` may
 * come without an `end`; `onClose` adds it.
 */
export class SocketConn extends BufferedConn implements SocketOwner {
  readonly encrypted: boolean;
  readonly timers: LoopTimers;
  /** The alert that ended an encrypted connection after its handshake, by name. */
  tlsAlert: string | undefined;

  readonly #socket: OwnedSocket;
  /** Whether the socket itself is paused. */
  #socketPaused = false;
  #shut = false;
  #closingHere = false;
  /** A write failed with the peer's reset, which the system reports only once: an end of the stream is a reset now. */
  #broken = false;

  constructor(socket: OwnedSocket, encrypted: boolean, timers: LoopTimers) {
    super();
    this.#socket = socket;
    this.encrypted = encrypted;
    this.timers = timers;
  }

  get remoteAddress(): string {
    // Undefined, whatever the type says, when the peer is already gone.
    return this.#socket.remoteAddress ?? "";
  }
  get remotePort(): number {
    return this.#socket.remotePort;
  }
  get localAddress(): string {
    return this.#socket.localAddress;
  }
  get localPort(): number {
    return this.#socket.localPort;
  }
  get fd(): number {
    return this.encrypted || this.closed ? -1 : (this.#socket as unknown as { fd: number }).fd;
  }
  /** `conn` when it is a `SocketConn`. */
  static from(conn: Conn): SocketConn | undefined {
    return #socket in conn ? conn : undefined;
  }

  /** The Bun socket below, for TLS. */
  get socket(): OwnedSocket {
    return this.#socket;
  }

  /** Turns keep-alive on when the connection has lived for a while. Bun sets `TCP_NODELAY`. */
  watchPeer(): void {
    this.timers.keepAlive.add(this);
  }

  setKeepAlive(initialDelayMs: number): void {
    this.#socket.setKeepAlive(true, initialDelayMs);
  }

  write(bytes: Uint8Array): number {
    if (this.closed || this.#shut) return -1;
    const taken = this.#socket.write(bytes);
    if (taken > 0) this.bytesWritten += taken;
    else if (taken < 0 && !this.encrypted && !this.#broken) {
      this.#broken = true;
      this.settleReader();
    }
    return taken;
  }

  shutdown(): void {
    if (this.closed || this.#shut) return;
    this.#shut = true;
    this.#socket.shutdown();
  }

  reset(): void {
    if (this.closed) return;
    this.#closingHere = true;
    this.#socket.terminate();
  }

  close(): void {
    if (this.closed) return;
    // `end` waits for the peer's close_notify without a limit; a second call does not wait.
    if (this.encrypted && this.#closingHere) this.#socket.close();
    else this.#socket.end();
    this.#closingHere = true;
  }

  /** Closing one of two descriptors sends neither FIN nor RST. No byte may wait in Bun to be written. */
  get detachable(): Detachable | undefined {
    // A dead connection cannot leave: a lane would not learn of its reset.
    if (this.encrypted || this.closed || this.#broken) return undefined;
    const libc = openLibc();
    if (libc === undefined) return undefined;
    return {
      take: () => {
        this.#socket.pause();
        const fd = duplicateDescriptor(libc, this.fd);
        if (fd < 0) this.#socket.resume();
        return fd;
      },
      giveBack: (fd) => {
        libc.close(fd);
        this.#socket.resume();
      },
      // Not `terminate()`, which sets `SO_LINGER` on the socket that both descriptors share.
      leave: () => {
        this.timers.keepAlive.remove(this);
        turnOnKeepAlive(this);
        this.forgetConsumer();
        this.#socket.close();
      },
    };
  }

  onData(chunk: Uint8Array): void {
    this.tellData(chunk);
  }

  onEnd(): void {
    if (this.ended) return;
    if (this.#broken) this.#socket.terminate();
    else this.tellEnd();
  }

  onDrain(): void {
    this.tellDrain();
  }

  onClose(error: Error | undefined): void {
    if (this.closed) return;
    this.timers.keepAlive.remove(this);
    const reset = this.#broken || (error !== undefined && error !== null);
    // A reset from either side drops what was not delivered yet.
    this.tellClose(reset, reset || this.#closingHere);
  }

  onError(error: Error): void {
    // Errors of the system and of the TLS library have a code. All others are bugs, which end this connection only.
    if (!("code" in error)) throwLater(error);
    else if (this.encrypted) this.tlsAlert = readAlertName(error);
    this.onClose(error);
    this.#socket.terminate();
  }

  /** Pauses or resumes the socket. */
  protected settleReader(): void {
    if (this.closed) return;
    const { silent } = this;
    // A paused socket never reports its close. Later, because the sink is in the middle of a call.
    if (silent && this.#broken) queueMicrotask(() => this.closed || this.#socket.terminate());
    if (silent === this.#socketPaused) return;
    this.#socketPaused = silent;
    if (silent) this.#socket.pause();
    else this.#socket.resume();
  }
}

/** The handlers of every Bun socket in `net/`: they call its owner. */
export const socketHandlers: Pick<SocketHandler<SocketOwner>, "data" | "end" | "drain" | "close" | "error"> = {
  data(socket, chunk) {
    socket.data.onData(chunk);
  },
  end(socket) {
    socket.data.onEnd();
  },
  drain(socket) {
    socket.data.onDrain();
  },
  close(socket, error) {
    socket.data.onClose(error);
  },
  error(socket, error) {
    socket.data.onError(error, socket);
  },
};
