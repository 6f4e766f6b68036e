import type { Conn, ConnSink } from "./conn.ts";
import type { LoopTimers } from "./loop-timers.ts";

/** Sees each byte of a connection once, in the order in which the socket took or gave it. It must copy bytes that it keeps. */
export interface ConnTap {
  written(bytes: Uint8Array): void;
  read(bytes: Uint8Array): void;
  /** The peer sent FIN. */
  ended(): void;
}

/** A connection that shows its bytes to a tap. */
export class TappedConn implements Conn {
  whenClosed: (() => void) | undefined;
  readonly #inner: Conn;
  readonly #tap: ConnTap;
  /** Bytes that were put back: they come a second time and are not shown again. */
  #known = 0;
  #endShown = false;

  constructor(inner: Conn, tap: ConnTap) {
    this.#inner = inner;
    this.#tap = tap;
    inner.whenClosed = () => this.whenClosed?.();
  }

  get remoteAddress(): string {
    return this.#inner.remoteAddress;
  }
  get remotePort(): number {
    return this.#inner.remotePort;
  }
  get localAddress(): string {
    return this.#inner.localAddress;
  }
  get localPort(): number {
    return this.#inner.localPort;
  }
  get timers(): LoopTimers {
    return this.#inner.timers;
  }
  get encrypted(): boolean {
    return this.#inner.encrypted;
  }
  /** None: a splice lane would move the bytes past the tap. */
  get fd(): number {
    return -1;
  }
  get bytesRead(): number {
    return this.#inner.bytesRead;
  }
  get bytesWritten(): number {
    return this.#inner.bytesWritten;
  }
  get closed(): boolean {
    return this.#inner.closed;
  }
  get ended(): boolean {
    return this.#inner.ended;
  }
  get unreadBytes(): number {
    return this.#inner.unreadBytes;
  }

  attach(sink: ConnSink): void {
    this.#inner.attach({
      data: (chunk) => {
        const known = Math.min(this.#known, chunk.length);
        this.#known -= known;
        if (known < chunk.length) this.#tap.read(chunk.subarray(known));
        sink.data(chunk);
      },
      end: () => {
        if (!this.#endShown) this.#tap.ended();
        this.#endShown = true;
        sink.end();
      },
      drain: () => sink.drain(),
      close: (reset) => sink.close(reset),
    });
  }
  detach(): void {
    this.#inner.detach();
  }
  unread(bytes: Uint8Array): void {
    this.#known += bytes.length;
    this.#inner.unread(bytes);
  }
  write(bytes: Uint8Array): number {
    const taken = this.#inner.write(bytes);
    if (taken > 0) this.#tap.written(bytes.subarray(0, taken));
    return taken;
  }
  pause(): void {
    this.#inner.pause();
  }
  resume(): void {
    this.#inner.resume();
  }
  shutdown(): void {
    this.#inner.shutdown();
  }
  reset(): void {
    this.#inner.reset();
  }
  close(): void {
    this.#inner.close();
  }
}
