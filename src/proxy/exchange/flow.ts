import type { Conn } from "../../net/conn/conn.ts";
import { Flow } from "../flow/flow.ts";
import type { HeadToWrite } from "./head-to-write.ts";
import type { Scratch } from "./scratch.ts";

/** The flow of one direction of a forwarded message: a head, then a body. */
export class MessageFlow extends Flow {
  /** Set when the source has to stay paused for a reason of its own. */
  holdsSource = false;
  readonly #scratch: Scratch;

  constructor(scratch: Scratch) {
    super();
    this.#scratch = scratch;
  }

  override begin(source: Conn, sink: Conn): void {
    this.holdsSource = false;
    super.begin(source, sink);
  }

  /** Writes octets `from` to `to` of `bytes`, as `write` does. */
  writePart(bytes: Uint8Array, from: number, to: number): void {
    this.write(to - from === bytes.length ? bytes : bytes.subarray(from, to));
  }

  /** Writes a head, and in the same write the octets of the body that come right after it. */
  writeHead(head: HeadToWrite, body: Uint8Array, from = 0, to = body.length): void {
    this.write(this.#scratch.join(head, body, from, to));
  }

  protected override proceed(): void {
    if (!this.holdsSource) super.proceed();
  }
}
