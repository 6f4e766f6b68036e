import type { Conn, ConnSink } from "./conn.ts";
import type { LoopTimers } from "./loop-timers.ts";

/**
 * Bytes that may wait in memory for a sink before reading pauses: room for a
 * ClientHello or two that a client sends before it has the answer.
 */
const WAITING_CAP = 64 * 1024;

/** Pieces that wait before they are joined: in pieces of one byte each, the cap would be megabytes of memory. */
const MAX_PIECES = 64;

/**
 * The sink's side of a connection, whatever socket is below: what arrives is
 * delivered in order, or waits until there is a sink that wants it.
 */
export abstract class BufferedConn implements Conn {
  abstract readonly encrypted: boolean;
  abstract readonly remoteAddress: string;
  abstract readonly remotePort: number;
  abstract readonly localAddress: string;
  abstract readonly localPort: number;
  abstract readonly fd: number;
  abstract readonly timers: LoopTimers;
  bytesRead = 0;
  bytesWritten = 0;
  closed = false;
  mostPerRead = Number.POSITIVE_INFINITY;
  whenClosed: (() => void) | undefined;

  #sink: ConnSink | undefined;
  /** Undefined instead of empty: most connections have nothing that waits, most of the time. */
  #waiting: Uint8Array[] | undefined;
  #waitingBytes = 0;
  /** The sink paused reading. */
  #paused = false;
  /** What the peer did and the sink has not been told yet. */
  #endUntold = false;
  #closeUntold = false;
  #reset = false;
  /** The peer's FIN has come. */
  #ended = false;

  abstract write(bytes: Uint8Array): number;
  abstract shutdown(): void;
  abstract reset(): void;
  abstract close(): void;
  /** Starts or stops reading, as `silent` says. Called whenever that may have changed. */
  protected abstract settleReader(): void;

  get unreadBytes(): number {
    return this.#waitingBytes;
  }

  /** Whether reading stops for now. */
  protected get silent(): boolean {
    return this.#paused || (this.#sink === undefined && this.#waitingBytes >= WAITING_CAP);
  }

  /** Bytes that one read may take: as many as the sink wants, and those that wait for one stay under the cap. */
  protected get room(): number {
    return this.#sink === undefined ? WAITING_CAP - this.#waitingBytes : this.mostPerRead;
  }

  get ended(): boolean {
    return this.#ended;
  }

  attach(sink: ConnSink): void {
    this.#sink = sink;
    this.#paused = false;
    this.mostPerRead = Number.POSITIVE_INFINITY;
    this.#deliver();
    if (!this.closed) this.settleReader();
  }

  detach(): void {
    this.#sink = undefined;
    this.#paused = false;
  }

  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const own = new Uint8Array(bytes);
    if (this.#waiting === undefined) this.#waiting = [own];
    else this.#waiting.unshift(own);
    this.#waitingBytes += bytes.length;
    this.bytesRead -= bytes.length;
  }

  pause(): void {
    this.#paused = true;
    if (!this.closed) this.settleReader();
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
    if (!this.closed) this.settleReader();
  }

  /** Bytes came, in memory that the next read uses again. */
  protected tellData(chunk: Uint8Array): void {
    if (this.#sink !== undefined && this.#waiting === undefined && !this.#paused) {
      this.bytesRead += chunk.length;
      this.#sink.data(chunk);
      return;
    }
    const own = new Uint8Array(chunk);
    if (this.#waiting === undefined) this.#waiting = [own];
    else if (this.#waiting.push(own) === MAX_PIECES) this.#waiting = [Buffer.concat(this.#waiting)];
    this.#waitingBytes += chunk.length;
    if (!this.closed) this.settleReader();
  }

  /** The peer's FIN came. */
  protected tellEnd(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endUntold = true;
    this.#deliver();
  }

  /** There is room for writing again. */
  protected tellDrain(): void {
    this.#sink?.drain();
  }

  /**
   * The connection is gone for good. `voids` drops what was not delivered yet;
   * otherwise it still is, and an end after it.
   */
  protected tellClose(reset: boolean, voids: boolean): void {
    if (this.closed) return;
    this.closed = true;
    this.#reset = reset;
    this.#closeUntold = true;
    if (voids) {
      this.#waiting = undefined;
      this.#waitingBytes = 0;
      this.#endUntold = false;
    } else if (!this.#ended) {
      this.#ended = true;
      this.#endUntold = true;
    }
    this.#deliver();
    const told = this.whenClosed;
    this.whenClosed = undefined;
    told?.();
  }

  /** The descriptor has left: the sink and `whenClosed` hear nothing more. */
  protected forgetConsumer(): void {
    this.#sink = undefined;
    this.whenClosed = undefined;
    this.closed = true;
  }

  /** Takes the waiting bytes, which then do not count as read. */
  protected takeWaiting(): Uint8Array | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#waitingBytes = 0;
    return waiting === undefined ? undefined : Buffer.concat(waiting);
  }

  /** Delivers what waits, in order, while the sink wants it. */
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
    // The close is told even to a sink that paused, once nothing waits before it.
    if (this.#sink !== undefined && this.#closeUntold && this.#waiting === undefined && !this.#endUntold) {
      this.#closeUntold = false;
      this.#sink.close(this.#reset);
    }
  }
}
