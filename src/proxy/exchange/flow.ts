import type { Conn } from "../../net/conn/conn.ts";
import { type ByteTotal, Flow } from "../flow/flow.ts";
import type { HeadToWrite } from "./head-to-write.ts";
import type { Scratch } from "./scratch.ts";

/** Octets of a body that are written together with its head. To copy more of them would cost more than another write. */
const MAX_JOINED = 16 * 1024;

/** The flow of one direction of a forwarded message: a head, then a body. */
export class MessageFlow extends Flow {
  /** Set when the source has to stay paused for a reason of its own. */
  holdsSource = false;
  readonly #scratch: Scratch;
  readonly #flush: () => void;

  /** `flush` is called when the budget has more: whoever owns the flow flushes it, and sees what follows from that. */
  constructor(scratch: Scratch, flush: () => void, total?: ByteTotal) {
    super(total);
    this.#scratch = scratch;
    this.#flush = flush;
  }

  /** Begins anew with another connection that took `sent` bytes of the same message already. What went elsewhere does not count. */
  restart(source: Conn, sink: Conn, sent: number): void {
    this.total.bytes += sent - this.bytes;
    this.begin(source, sink);
    this.bytes = sent;
  }

  override refilled(): void {
    this.#flush();
  }

  /** Writes octets `from` to `to` of `bytes`, as `write` does. */
  writePart(bytes: Uint8Array, from: number, to: number): void {
    this.write(to - from === bytes.length ? bytes : bytes.subarray(from, to));
  }

  /** Writes a head, and the octets of the body that come right after it: those of a short one in the same write. */
  writeHead(head: HeadToWrite, body: Uint8Array, from = 0, to = body.length): void {
    const joined = Math.min(to, from + MAX_JOINED);
    this.write(this.#scratch.join(head, body, from, joined));
    if (joined < to) this.writePart(body, joined, to);
  }

  protected override proceed(): void {
    if (!this.holdsSource) super.proceed();
  }
}
