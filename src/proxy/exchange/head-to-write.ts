import type { Fields } from "../../protocol/http1/fields.ts";
import { copyOctets } from "../../protocol/http1/octets.ts";

/** A head that can be written. */
export interface HeadToWrite {
  /** Octets that it needs at most. */
  readonly most: number;
  /** Writes it to the beginning of `target`, and gives its length. */
  fill(target: Buffer): number;
}

const NOTHING = new Uint8Array(0);

/** A head that goes on: a start line, fields as they came, and lines of our own. */
export class ForwardedHead implements HeadToWrite {
  readonly #start: string | number;
  readonly #fields: Fields;
  readonly #lines: string;
  readonly #end: Uint8Array;

  /**
   * `start` is latin1: the start line and the first of our lines; or a number: so
   * many octets before the fields go on as they came. The fields are exact. `lines`
   * are latin1, and `end` follows them.
   */
  constructor(start: string | number, fields: Fields, lines: string, end: Uint8Array = NOTHING) {
    this.#start = start;
    this.#fields = fields;
    this.#lines = lines;
    this.#end = end;
  }

  get most(): number {
    const start = this.#start;
    return (
      (typeof start === "string" ? start.length : start) + this.#fields.end + this.#lines.length + this.#end.length
    );
  }

  fill(target: Buffer): number {
    const start = this.#start;
    let at =
      typeof start === "string"
        ? this.#fields.fill(target, target.write(start, 0, "latin1"))
        : this.#fields.fill(target, 0, start);
    if (this.#lines !== "") at += target.write(this.#lines, at, "latin1");
    return copyOctets(this.#end, 0, this.#end.length, target, at);
  }
}
