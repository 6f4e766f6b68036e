import { type Fields, NO_FIELDS } from "../../protocol/http1/fields.ts";
import type { ResponseHead } from "../../protocol/http1/response-head.ts";

/** A head that can be written. */
export interface HeadToWrite {
  /** Octets that it needs at most. */
  readonly most: number;
  /** Writes it to the beginning of `target`, and gives its length. */
  fill(target: Buffer): number;
}

/** A head that goes on: lines of our own as latin1, octets of a status line that go on as they came, and fields. */
export class ForwardedHead implements HeadToWrite {
  readonly #before: string;
  readonly #line: ResponseHead | undefined;
  readonly #fields: Fields;
  readonly #after: string;

  /** `before` is empty when the status line of `line` goes on. The fields are exact. */
  constructor(before: string, fields: Fields, after: string, line?: ResponseHead) {
    this.#before = before;
    this.#line = line;
    this.#fields = fields;
    this.#after = after;
  }

  get most(): number {
    return this.#before.length + (this.#line?.exactLine ?? 0) + this.#fields.octets.length + this.#after.length;
  }

  fill(target: Buffer): number {
    const start = this.#line === undefined ? target.write(this.#before, 0, "latin1") : this.#line.fillLine(target);
    const end = this.#fields.fill(target, start);
    return end + target.write(this.#after, end, "latin1");
  }
}

/** A head that is all text. */
export function textHead(text: string): HeadToWrite {
  return new ForwardedHead(text, NO_FIELDS, "");
}
