import type { Conn, ConnSink } from "../../src/net/conn/conn.ts";
import { LoopTimers } from "../../src/net/conn/loop-timers.ts";
import { poisonLentBytes } from "./poison-lent-bytes.ts";

/** A connection without a network: the test says what comes and sees what went. */
export class FakeConn implements Conn {
  readonly remoteAddress = "192.0.2.1";
  readonly remotePort = 443;
  readonly localAddress = "192.0.2.2";
  readonly localPort = 50_000;
  readonly timers = new LoopTimers();
  readonly encrypted = false;
  readonly fd = -1;
  readonly bytesRead = 0;
  closed = false;
  ended = false;
  whenClosed: (() => void) | undefined;
  /** What was written. */
  readonly written: Uint8Array[] = [];
  /** How it was ended from here: `fin`, `reset`, `close`, in order. */
  readonly ends: string[] = [];
  readonly #waiting: ((sink: ConnSink) => void)[] = [];
  #sink: ConnSink | undefined;

  get bytesWritten(): number {
    return this.written.reduce((sum, { length }) => sum + length, 0);
  }
  get unreadBytes(): number {
    return 0;
  }

  attach(sink: ConnSink): void {
    this.#sink = poisonLentBytes(sink);
    this.#deliver();
  }
  detach(): void {
    this.#sink = undefined;
  }
  unread(bytes: Uint8Array): void {
    const own = new Uint8Array(bytes);
    this.#waiting.unshift((sink) => sink.data(own));
  }
  write(bytes: Uint8Array): number {
    if (this.closed) return -1;
    this.written.push(bytes.slice());
    return bytes.length;
  }
  pause(): void {
    // Nothing comes by itself.
  }
  resume(): void {
    // Nothing comes by itself.
  }
  shutdown(): void {
    this.ends.push("fin");
  }
  reset(): void {
    this.ends.push("reset");
    this.closed = true;
  }
  close(): void {
    this.ends.push("close");
    this.closed = true;
  }

  /** The peer sends these bytes. */
  receive(text: string): void {
    this.#come((sink) => sink.data(Buffer.from(text)));
  }
  /** The peer sends FIN. */
  receiveEnd(): void {
    this.ended = true;
    this.#come((sink) => sink.end());
  }
  /** The connection breaks. */
  break(): void {
    this.closed = true;
    this.#come((sink) => sink.close(true));
    this.whenClosed?.();
  }

  #come(event: (sink: ConnSink) => void): void {
    this.#waiting.push(event);
    this.#deliver();
  }

  #deliver(): void {
    while (this.#sink !== undefined) {
      const event = this.#waiting.shift();
      if (event === undefined) return;
      event(this.#sink);
    }
  }
}
