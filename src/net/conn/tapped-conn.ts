import { BufferedConn } from "./buffered-conn.ts";
import type { Conn } from "./conn.ts";
import type { LoopTimers } from "./loop-timers.ts";

/** Sees each byte of a connection once, in the order in which the socket took or gave it. It must copy bytes that it keeps. */
export interface ConnTap {
  written(bytes: Uint8Array): void;
  read(bytes: Uint8Array): void;
  /** The peer sent FIN. */
  ended(): void;
}

/** A connection that shows its bytes to a tap. It has taken the one below it over. */
export class TappedConn extends BufferedConn {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly timers: LoopTimers;
  readonly encrypted: boolean;
  /** None: a splice lane would move the bytes past the tap. */
  readonly fd = -1;
  readonly #inner: Conn;
  readonly #tap: ConnTap;

  constructor(inner: Conn, tap: ConnTap) {
    super();
    this.remoteAddress = inner.remoteAddress;
    this.remotePort = inner.remotePort;
    this.localAddress = inner.localAddress;
    this.localPort = inner.localPort;
    this.timers = inner.timers;
    this.encrypted = inner.encrypted;
    this.#inner = inner;
    this.#tap = tap;
    inner.attach({
      data: (chunk) => {
        tap.read(chunk);
        this.tellData(chunk);
      },
      end: () => {
        tap.ended();
        this.tellEnd();
      },
      drain: () => this.tellDrain(),
      close: (reset) => this.tellClose(reset, reset),
    });
  }

  write(bytes: Uint8Array): number {
    const taken = this.#inner.write(bytes);
    if (taken <= 0) return taken;
    this.#tap.written(bytes.subarray(0, taken));
    this.bytesWritten += taken;
    return taken;
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

  protected settleReader(): void {
    if (this.silent) this.#inner.pause();
    else this.#inner.resume();
  }
}
