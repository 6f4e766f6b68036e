import type { Socket, SocketHandler } from "bun";
import type { Conn, ConnSink } from "./conn.ts";
import { keepAlive, turnOnKeepAlive } from "./keep-alive.ts";
import type { Detachable } from "./linux/take-over.ts";

/**
 * Bytes that may wait in memory for a consumer before the reader is paused.
 * Room for a ClientHello or two that a hasty client sends before its answer.
 */
const WAITING_CAP = 64 * 1024;

/**
 * A connection over a Bun socket, accepted or dialled, plain or TLS.
 *
 * Bun ends a socket by itself once FIN went both ways, and then `close` may
 * come without an `end`; `onClose` puts that right.
 */
export class SocketConn implements Conn {
  readonly encrypted: boolean;
  bytesRead = 0;
  bytesWritten = 0;
  closed = false;
  /** Told once when the connection is gone, whoever is the consumer. */
  whenClosed: (() => void) | undefined;

  readonly #socket: Socket<SocketConn>;
  #sink: ConnSink | undefined;
  /** Never empty: most connections have nothing that waits, most of the time. */
  #waiting: Uint8Array[] | undefined;
  #waitingBytes = 0;
  /** Whether the consumer asked for silence. */
  #paused = false;
  /** Whether the socket itself is paused. */
  #socketPaused = false;
  #shut = false;
  /** What the peer did and the consumer has not been told yet. */
  #endUntold = false;
  #closeUntold = false;
  #reset = false;
  #ended = false;
  #closingHere = false;
  /** A write was told of the peer's reset, and the system tells of it only once: what looks like an end now is none. */
  #broken = false;

  constructor(socket: Socket<SocketConn>, encrypted: boolean) {
    this.#socket = socket;
    this.encrypted = encrypted;
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress;
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
  get unreadBytes(): number {
    return this.#waitingBytes;
  }
  /** The Bun socket below, for those in `net/` that build on it. */
  get socket(): Socket<SocketConn> {
    return this.#socket;
  }

  /** Notices a peer that vanished, from when the connection has lived for a while. Small writes go out at once: Bun sees to it. */
  watchPeer(): void {
    keepAlive.add(this);
  }

  setKeepAlive(initialDelayMs: number): void {
    this.#socket.setKeepAlive(true, initialDelayMs);
  }

  attach(sink: ConnSink): void {
    this.#sink = sink;
    this.#paused = false;
    this.#deliver();
    this.#settleReader();
  }

  detach(): void {
    this.#sink = undefined;
    this.#paused = false;
  }

  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#waiting === undefined) this.#waiting = [bytes];
    else this.#waiting.unshift(bytes);
    this.#waitingBytes += bytes.length;
    this.bytesRead -= bytes.length;
  }

  write(bytes: Uint8Array): number {
    if (this.closed || this.#shut) return -1;
    const taken = this.#socket.write(bytes);
    if (taken > 0) this.bytesWritten += taken;
    else if (taken < 0 && !this.encrypted && !this.#broken) {
      this.#broken = true;
      this.#settleReader();
    }
    return taken;
  }

  pause(): void {
    this.#paused = true;
    this.#settleReader();
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
    this.#settleReader();
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
    this.#closingHere = true;
    this.#socket.end();
  }

  /** What it takes to move the connection out of Bun. Its close is not told to anybody here. */
  get detachable(): Detachable {
    const { fd } = this;
    return {
      fd,
      pause: () => this.#socket.pause(),
      resume: () => this.#socket.resume(),
      close: () => {
        keepAlive.remove(this);
        turnOnKeepAlive(this);
        this.#sink = undefined;
        this.whenClosed = undefined;
        this.closed = true;
        this.#socket.close();
      },
    };
  }

  // What Bun tells.

  onData(chunk: Uint8Array): void {
    if (this.#sink !== undefined && this.#waiting === undefined && !this.#paused) {
      this.bytesRead += chunk.length;
      this.#sink.data(chunk);
      return;
    }
    if (this.#waiting === undefined) this.#waiting = [chunk];
    else this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    this.#settleReader();
  }

  onEnd(): void {
    if (this.#ended) return;
    if (this.#broken) {
      this.#socket.terminate();
      return;
    }
    this.#ended = true;
    this.#endUntold = true;
    this.#deliver();
  }

  onDrain(): void {
    this.#sink?.drain();
  }

  onClose(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    keepAlive.remove(this);
    this.#reset = this.#broken || (error !== undefined && error !== null);
    if (!this.#reset && !this.#ended && !this.#closingHere) {
      this.#ended = true;
      this.#endUntold = true;
    }
    this.#closeUntold = true;
    if (this.#reset || this.#closingHere) this.#dropWaiting();
    this.#deliver();
    const told = this.whenClosed;
    this.whenClosed = undefined;
    told?.();
  }

  /** Hands over what waits, in order, as long as the consumer wants it. */
  #deliver(): void {
    while (this.#sink !== undefined && !this.#paused) {
      const chunk = this.#waiting?.shift();
      if (chunk !== undefined) {
        if (this.#waiting?.length === 0) this.#waiting = undefined;
        this.#waitingBytes -= chunk.length;
        this.bytesRead += chunk.length;
        this.#sink.data(chunk);
      } else if (this.#endUntold) {
        this.#endUntold = false;
        this.#sink.end();
      } else {
        break;
      }
    }
    // The end of everything is told even to a consumer that asked for silence, once nothing waits before it.
    if (this.#sink !== undefined && this.#closeUntold && this.#waiting === undefined && !this.#endUntold) {
      this.#closeUntold = false;
      this.#sink.close(this.#reset);
    }
  }

  /** A reset, from there or from here, voids what was not yet consumed. */
  #dropWaiting(): void {
    this.#waiting = undefined;
    this.#waitingBytes = 0;
    this.#endUntold = false;
  }

  /** Pauses or resumes the socket so that no more waits than may. */
  #settleReader(): void {
    if (this.closed) return;
    const wanted = this.#paused || (this.#sink === undefined && this.#waitingBytes >= WAITING_CAP);
    // A paused socket would never say that it is gone. Later: the consumer is in the middle of a call.
    if (wanted && this.#broken) queueMicrotask(() => this.closed || this.#socket.terminate());
    if (wanted === this.#socketPaused) return;
    this.#socketPaused = wanted;
    if (wanted) this.#socket.pause();
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
    // A handler of ours threw, which is a bug: this connection ends, the others live on.
    socket.data.onClose(error);
    socket.terminate();
  },
};
