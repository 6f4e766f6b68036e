import type { Conn, ConnSink } from "../../src/net/conn/conn.ts";
import { LoopTimers } from "../../src/net/conn/loop-timers.ts";
import { poisonLentBytes } from "./poison-lent-bytes.ts";

/** A connection without a socket: a test is its peer, and says what comes and how much is taken. */
export class MemoryConn implements Conn {
  readonly remoteAddress = "127.0.0.1";
  readonly remotePort = 50_000;
  readonly localAddress = "127.0.0.1";
  readonly localPort = 8080;
  readonly timers = new LoopTimers();
  readonly encrypted = false;
  readonly fd = 10;
  bytesRead = 0;
  bytesWritten = 0;
  mostPerRead = Number.POSITIVE_INFINITY;
  whenClosed: (() => void) | undefined;
  /** What was written so far, as latin1. */
  text = "";
  /** Bytes that are taken before a write falls short. */
  room = Number.POSITIVE_INFINITY;
  /** How this side ended it: `fin` while the peer may still speak. */
  state: "open" | "fin" | "closed" | "reset" = "open";
  #sink: ConnSink | undefined;
  #paused = false;
  #waiting: Uint8Array[] = [];
  #wantsDrain = false;
  #ended = false;
  #untold: "end" | "close" | "reset" | undefined;
  #gone = false;

  get closed(): boolean {
    return this.#gone;
  }

  get ended(): boolean {
    return this.#ended || this.#gone;
  }

  get unreadBytes(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  attach(sink: ConnSink): void {
    this.#sink = poisonLentBytes(sink);
    this.#paused = false;
    this.mostPerRead = Number.POSITIVE_INFINITY;
    this.#deliver();
  }

  detach(): void {
    this.#sink = undefined;
    this.#paused = false;
  }

  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.unshift(new Uint8Array(bytes));
    this.bytesRead -= bytes.length;
  }

  write(bytes: Uint8Array): number {
    if (this.#gone || this.state !== "open") return -1;
    const taken = Math.min(this.room, bytes.length);
    this.room -= taken;
    this.text += Buffer.from(bytes.subarray(0, taken)).toString("latin1");
    this.bytesWritten += taken;
    this.#wantsDrain = taken < bytes.length;
    return taken;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
  }

  shutdown(): void {
    if (this.state === "open") this.state = "fin";
  }

  reset(): void {
    this.#end("reset");
  }

  close(): void {
    this.#end("closed");
  }

  // What the peer does.

  say(text: string): void {
    if (this.#gone || text === "") return;
    this.#waiting.push(Buffer.from(text, "latin1"));
    this.#deliver();
  }

  finish(): void {
    if (this.#gone) return;
    this.#ended = true;
    this.#untold = "end";
    this.#deliver();
  }

  vanish(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#waiting = [];
    this.#untold = "reset";
    this.#deliver();
  }

  /** Reads whatever is written from now on. */
  drain(): void {
    this.room = Number.POSITIVE_INFINITY;
    if (!this.#wantsDrain || this.#gone) return;
    this.#wantsDrain = false;
    this.#sink?.drain();
  }

  /** Reads so many bytes more. */
  grant(bytes: number): void {
    this.room += bytes;
    if (!this.#wantsDrain || this.#gone || bytes === 0) return;
    this.#wantsDrain = false;
    this.#sink?.drain();
  }

  #end(state: "closed" | "reset"): void {
    if (this.#gone) return;
    this.state = state;
    this.#gone = true;
    this.#waiting = [];
    this.#untold = "close";
    this.#deliver();
  }

  #deliver(): void {
    while (this.#sink !== undefined && !this.#paused) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      const chunk = next.subarray(0, this.mostPerRead);
      if (chunk.length < next.length) this.#waiting.unshift(next.subarray(chunk.length));
      this.bytesRead += chunk.length;
      this.#sink.data(chunk);
    }
    if (this.#sink === undefined || this.#waiting.length > 0 || this.#untold === undefined) return;
    const told = this.#untold;
    if (told === "end" && this.#paused) return;
    this.#untold = undefined;
    if (told === "end") this.#sink.end();
    else this.#sink.close(told === "reset");
  }
}
