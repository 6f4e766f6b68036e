import type { Conn } from "../../net/conn.ts";

const NOTHING = new Uint8Array(0);

/** Where a head and what follows it are put together; a write takes them or they are copied. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * One way through a proxy: what was read from `source` is written to `sink`.
 * What the sink does not take waits here, and the source is paused meanwhile, so
 * that no more than one read is ever in memory.
 */
export class Outlet {
  /** Bytes that the sink took. */
  bytes = 0;
  /** Set when the source has to stay paused for a reason of its own. */
  holdsSource = false;
  readonly #source: Conn;
  readonly #sink: Conn;
  #rest: Uint8Array = NOTHING;

  constructor(source: Conn, sink: Conn) {
    this.#source = source;
    this.#sink = sink;
  }

  /** Whether everything was taken. */
  get empty(): boolean {
    return this.#rest.length === 0;
  }

  /** Writes `bytes`, which must not change afterwards. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#rest.length > 0) {
      // A head behind a body, or what was in flight when the source was paused.
      this.#rest = Buffer.concat([this.#rest, bytes]);
      return;
    }
    const taken = this.#sink.write(bytes);
    // Closed for writing: the sink's own `close` is on its way and says how.
    if (taken < 0) return;
    this.bytes += taken;
    if (taken === bytes.length) return;
    this.#rest = bytes.subarray(taken);
    this.#source.pause();
  }

  /** Writes a head, latin1 text, and in the same write the bytes that come right after it. */
  writeHead(head: string, body: Uint8Array): void {
    const length = head.length + body.length;
    if (length > scratch.length || this.#rest.length > 0) {
      this.write(Buffer.from(head, "latin1"));
      this.write(body);
      return;
    }
    scratch.write(head, 0, "latin1");
    scratch.set(body, head.length);
    const taken = this.#sink.write(scratch.subarray(0, length));
    if (taken < 0) return;
    this.bytes += taken;
    if (taken === length) return;
    // The next one has the scratch space.
    this.#rest = new Uint8Array(scratch.subarray(taken, length));
    this.#source.pause();
  }

  /** The sink has room again. */
  flush(): void {
    const rest = this.#rest;
    if (rest.length === 0) return;
    const taken = this.#sink.write(rest);
    if (taken < 0) return;
    this.bytes += taken;
    this.#rest = rest.subarray(taken);
    if (this.#rest.length === 0 && !this.holdsSource) this.#source.resume();
  }
}
