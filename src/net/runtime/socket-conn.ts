import type { Socket, SocketHandler } from "bun";
import { BufferedConn } from "../conn/buffered-conn.ts";
import { type LoopTimers, turnOnKeepAlive } from "../conn/loop-timers.ts";
import type { Conn, Detachable } from "../conn/conn.ts";
import { openLibc } from "../libc/libc.ts";
import { duplicateDescriptor } from "../libc/socket.ts";
import { throwLater } from "../conn/throw-later.ts";

/** Somebody who made a socket that is still connecting. */
export interface Connecting {
  succeed(conn: SocketConn): void;
  fail(code: string): void;
}

/**
 * A connection over a Bun socket, accepted or dialled, plain or TLS.
 *
 * Bun ends a socket by itself once FIN went both ways, and then `close` may
 * come without an `end`; `onClose` puts that right.
 */
export class SocketConn extends BufferedConn {
  readonly encrypted: boolean;
  readonly timers: LoopTimers;
  /** The alert that ended an encrypted connection after its handshake, by name. */
  tlsAlert: string | undefined;
  /** Hears that the socket is connected; undefined once it is. */
  connecting: Connecting | undefined;

  readonly #socket: Socket<SocketConn>;
  /** Whether the socket itself is paused. */
  #socketPaused = false;
  #shut = false;
  #closingHere = false;
  /** A write was told of the peer's reset, and the system tells of it only once: what looks like an end now is none. */
  #broken = false;

  constructor(socket: Socket<SocketConn>, encrypted: boolean, timers: LoopTimers) {
    super();
    this.#socket = socket;
    this.encrypted = encrypted;
    this.timers = timers;
  }

  get remoteAddress(): string {
    // A peer that is gone already has no address any more, whatever the type says.
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
  /** Gives `conn` when it is one of these. */
  static from(conn: Conn): SocketConn | undefined {
    return #socket in conn ? conn : undefined;
  }

  /** The Bun socket below, for those in `net/` that build on it. */
  get socket(): Socket<SocketConn> {
    return this.#socket;
  }

  /** Notices a peer that vanished, from when the connection has lived for a while. Small writes go out at once: Bun sees to it. */
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
    // The TLS library waits for the peer's close_notify, for ever, unless it is told so a second time.
    if (this.encrypted && this.#closingHere) this.#socket.close();
    else this.#socket.end();
    this.#closingHere = true;
  }

  /** The peer notices nothing: closing one of two descriptors sends neither FIN nor RST. No byte may wait in Bun to be written. */
  get detachable(): Detachable | undefined {
    // One that is known to be dead stays: nobody else would learn of it.
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
      // `terminate()` would not do: it sets `SO_LINGER` on what both descriptors share.
      leave: () => {
        this.timers.keepAlive.remove(this);
        turnOnKeepAlive(this);
        this.forgetConsumer();
        this.#socket.close();
      },
    };
  }

  // What Bun tells.

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
    // A reset, from there or from here, voids what was not yet consumed.
    this.tellClose(reset, reset || this.#closingHere);
  }

  /** Pauses or resumes the socket so that no more waits than may. */
  protected settleReader(): void {
    if (this.closed) return;
    const { silent } = this;
    // A paused socket would never say that it is gone. Later: the consumer is in the middle of a call.
    if (silent && this.#broken) queueMicrotask(() => this.closed || this.#socket.terminate());
    if (silent === this.#socketPaused) return;
    this.#socketPaused = silent;
    if (silent) this.#socket.pause();
    else this.#socket.resume();
  }
}

/** The handlers that connect a Bun socket, whose `data` is its `SocketConn`, to that object. One for all sockets. */
export const socketConnHandlers: Pick<SocketHandler<SocketConn>, "data" | "end" | "drain" | "close" | "error"> = {
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
    // A handler of ours threw, which is a bug: this connection ends, the others live on. What the system says has a code.
    if (!("code" in error)) throwLater(error);
    // It may have thrown before there was a connection.
    (socket.data as SocketConn | undefined)?.onClose(error);
    socket.terminate();
  },
};
