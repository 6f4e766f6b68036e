import type { Duplex } from "node:stream";
import { BufferedConn } from "./buffered-conn.ts";
import type { Conn } from "./conn.ts";
import type { LoopTimers } from "./loop-timers.ts";

/** Addresses and timers of a stream, as the connection below it has them. */
type Ends = Pick<Conn, "remoteAddress" | "remotePort" | "localAddress" | "localPort" | "timers">;

/** A stream of Node, such as an encrypted one, as a connection. `ConnStream` is the opposite. */
export class StreamConn extends BufferedConn {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly timers: LoopTimers;
  readonly encrypted = true;
  readonly fd = -1;
  readonly #stream: Duplex;
  #reset = false;

  constructor(stream: Duplex, ends: Ends) {
    super();
    this.#stream = stream;
    this.remoteAddress = ends.remoteAddress;
    this.remotePort = ends.remotePort;
    this.localAddress = ends.localAddress;
    this.localPort = ends.localPort;
    this.timers = ends.timers;
    stream.on("readable", () => this.settleReader());
    stream.on("drain", () => this.tellDrain());
    stream.on("end", () => this.tellEnd());
    stream.on("error", () => {
      this.#reset = true;
    });
    stream.on("close", () => this.tellClose(this.#reset, this.#reset));
  }

  /** Takes a copy of all of it: a stream has a queue of its own, and tells `drain` once it is empty. */
  write(bytes: Uint8Array): number {
    if (this.closed || this.#stream.writableEnded || this.#stream.destroyed) return -1;
    this.#stream.write(new Uint8Array(bytes));
    this.bytesWritten += bytes.length;
    return bytes.length;
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

  protected settleReader(): void {
    while (!this.silent) {
      const chunk = this.#stream.read() as Uint8Array | null;
      if (chunk === null) return;
      this.tellData(chunk);
    }
  }
}
