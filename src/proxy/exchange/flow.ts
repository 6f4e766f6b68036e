import type { Conn } from "../../net/conn/conn.ts";
import type { HeadToWrite } from "./head-to-write.ts";
import type { Scratch } from "./scratch.ts";

const NOTHING = new Uint8Array(0);

/**
 * One direction of a message through the proxy: what was read from `source` is
 * written to `sink`. What the sink does not take waits here, and the source is
 * paused meanwhile, so that no more than one read is ever in memory.
 */
export class Flow {
  /** Bytes that the sink took. */
  bytes = 0;
  /** Set when the source has to stay paused for a reason of its own. */
  holdsSource = false;
  readonly #scratch: Scratch;
  #source!: Conn;
  #sink!: Conn;
  #rest: Uint8Array = NOTHING;
  /** The sink is closed for writing, and bytes were for it. */
  #lost = false;

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
  }

  /** Begins another message. */
  begin(source: Conn, sink: Conn): void {
    this.bytes = 0;
    this.holdsSource = false;
    this.#source = source;
    this.#sink = sink;
    this.#rest = NOTHING;
    this.#lost = false;
  }

  /** Whether everything was taken. Never again once the sink is closed for writing: its own `close` is on its way and says how. */
  get empty(): boolean {
    return this.#rest.length === 0 && !this.#lost;
  }

  /** Writes `bytes`, and keeps a copy of what the sink does not take. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#rest.length > 0) {
      // A head behind a body, or what was in flight when the source was paused.
      this.#rest = Buffer.concat([this.#rest, bytes]);
      return;
    }
    const taken = this.#sink.write(bytes);
    if (taken < 0) this.#lost = true;
    if (taken < 0) return;
    this.bytes += taken;
    if (taken === bytes.length) return;
    this.#rest = new Uint8Array(bytes.subarray(taken));
    this.#source.pause();
  }

  /** Writes octets `from` to `to` of `bytes`, as `write` does. */
  writePart(bytes: Uint8Array, from: number, to: number): void {
    this.write(to - from === bytes.length ? bytes : bytes.subarray(from, to));
  }

  /** Writes a head, and in the same write the octets of the body that come right after it. */
  writeHead(head: HeadToWrite, body: Uint8Array, from = 0, to = body.length): void {
    const scratch = this.#scratch;
    // More than the head has, since some of its octets are left out.
    const most = head.most + to - from;
    if (most > scratch.bytes.length || this.#rest.length > 0) {
      const whole = Buffer.allocUnsafe(most);
      this.write(whole.subarray(0, head.fill(whole)));
      this.writePart(body, from, to);
      return;
    }
    const length = scratch.put(body, from, to, head.fill(scratch.bytes));
    const taken = this.#sink.write(scratch.view(length));
    if (taken < 0) this.#lost = true;
    if (taken < 0) return;
    this.bytes += taken;
    if (taken === length) return;
    // The next one has the scratch space.
    this.#rest = scratch.keep(taken, length);
    this.#source.pause();
  }

  /** The sink has room again. */
  flush(): void {
    const rest = this.#rest;
    if (rest.length === 0) return;
    const taken = this.#sink.write(rest);
    if (taken < 0) this.#lost = true;
    if (taken < 0) return;
    this.bytes += taken;
    this.#rest = rest.subarray(taken);
    if (this.#rest.length === 0 && !this.holdsSource) this.#source.resume();
  }
}
