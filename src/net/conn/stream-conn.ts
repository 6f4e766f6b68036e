import type { Duplex } from "node:stream";
import type { Conn, ConnSink } from "./conn.ts";
import type { LoopTimers } from "./loop-timers.ts";

/** Where a stream leads, and its timers, as its connection says. */
type Ends = Pick<Conn, "remoteAddress" | "remotePort" | "localAddress" | "localPort" | "timers">;

/** A stream of Node, such as an encrypted one, as a connection. The other way round: `ConnStream`. */
export class StreamConn implements Conn {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly timers: LoopTimers;
  readonly encrypted = true;
  readonly fd = -1;
  bytesRead = 0;
  bytesWritten = 0;
  closed = false;
  whenClosed: (() => void) | undefined;
  readonly #stream: Duplex;
  #sink: ConnSink | undefined;
  #paused = false;
  #waiting: Uint8Array[] = [];
  #ended: "no" | "untold" | "told" = "no";
  #closeUntold = false;
  #reset = false;

  constructor(stream: Duplex, ends: Ends) {
    this.#stream = stream;
    this.remoteAddress = ends.remoteAddress;
    this.remotePort = ends.remotePort;
    this.localAddress = ends.localAddress;
    this.localPort = ends.localPort;
    this.timers = ends.timers;
    stream.on("readable", () => this.#deliver());
    stream.on("drain", () => this.#sink?.drain());
    stream.on("end", () => {
      this.#ended = "untold";
      this.#deliver();
    });
    stream.on("error", () => {
      this.#reset = true;
    });
    stream.on("close", () => {
      this.closed = true;
      this.#closeUntold = true;
      this.#deliver();
      const told = this.whenClosed;
      this.whenClosed = undefined;
      told?.();
    });
  }

  get ended(): boolean {
    return this.#ended !== "no";
  }

  get unreadBytes(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  attach(sink: ConnSink): void {
    this.#sink = sink;
    this.#paused = false;
    this.#deliver();
  }
  detach(): void {
    this.#sink = undefined;
  }
  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.unshift(new Uint8Array(bytes));
    this.bytesRead -= bytes.length;
  }
  /** Takes a copy of all of it: a stream has a queue of its own, and tells `drain` once it is empty. */
  write(bytes: Uint8Array): number {
    if (this.closed || this.#stream.writableEnded || this.#stream.destroyed) return -1;
    this.#stream.write(new Uint8Array(bytes));
    this.bytesWritten += bytes.length;
    return bytes.length;
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.#deliver();
  }
  shutdown(): void {
    this.#stream.end();
  }
  reset(): void {
    this.#reset = true;
    this.#stream.destroy();
  }
  close(): void {
    this.#stream.end(() => this.#stream.destroy());
  }

  /** Hands over what there is, in order, as long as the consumer wants it. */
  #deliver(): void {
    while (this.#sink !== undefined && !this.#paused) {
      const chunk = this.#waiting.shift() ?? (this.#stream.read() as Uint8Array | null);
      if (chunk !== null) {
        this.bytesRead += chunk.length;
        this.#sink.data(chunk);
      } else if (this.#ended === "untold") {
        this.#ended = "told";
        this.#sink.end();
      } else {
        break;
      }
    }
    if (this.#sink === undefined || !this.#closeUntold || this.#waiting.length > 0 || this.#ended === "untold") return;
    this.#closeUntold = false;
    this.#sink.close(this.#reset);
  }
}
