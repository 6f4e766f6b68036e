import { isStep, type Steps } from "../steps.ts";
import { findPosition, type ParsedText } from "./places.ts";
import { quoteName } from "./problem.ts";

/** Deeper than any configuration, and shallow enough for the stack. */
const MAX_DEPTH = 100;

/** Unwinds the reader; never leaves this file. */
class Fault {
  readonly at: number;
  readonly message: string;

  constructor(at: number, message: string) {
    this.at = at;
    this.message = message;
  }
}

/**
 * Reads JSON (RFC 8259). Unlike JSON.parse of the runtime it says where the text
 * is wrong, and refuses a member that appears twice, of which one would be ignored.
 */
export function* parseJsonInSteps(text: string): Steps<ParsedText> {
  const reader = new Reader(text);
  try {
    return { ok: true, value: yield* reader.readDocument() };
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    const [line, column] = findPosition(text, fault.at);
    return { ok: false, message: fault.message, line, column };
  }
}

class Reader {
  readonly #text: string;
  #at = 0;
  /** Lists and maps so far. */
  #values = 0;

  constructor(text: string) {
    this.#text = text;
  }

  *readDocument(): Steps<unknown> {
    // Some editors write a byte order mark.
    this.#take("\ufeff");
    const value = yield* this.#readValue(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#fault("Found more after the end of the value.");
    return value;
  }

  *#readValue(depth: number): Steps<unknown> {
    if (this.#isLeaf(depth)) return this.#readLeaf();
    this.#values += 1;
    if (isStep(this.#values)) yield;
    return this.#text[this.#at] === "{" ? yield* this.#readObject(depth) : yield* this.#readArray(depth);
  }

  /** Goes to the next value. Most are texts of long lists, which cost no generator. */
  #isLeaf(depth: number): boolean {
    if (depth > MAX_DEPTH) throw this.#fault("The values are nested too deep.");
    this.#skipSpace();
    const first = this.#text[this.#at];
    return first !== "{" && first !== "[";
  }

  #readLeaf(): unknown {
    return this.#text[this.#at] === '"' ? this.#readString() : this.#readScalar();
  }

  *#readObject(depth: number): Steps<Record<string, unknown>> {
    const members = new Map<string, unknown>();
    this.#at++;
    this.#skipSpace();
    if (this.#take("}")) return {};
    do {
      this.#skipSpace();
      const start = this.#at;
      if (this.#text[start] !== '"') throw this.#fault("Expected a name in double quotes.");
      const name = this.#readString();
      if (members.has(name)) throw new Fault(start, `Found the name ${quoteName(name)} twice.`);
      this.#skipSpace();
      if (!this.#take(":")) throw this.#fault("Expected a colon.");
      members.set(name, this.#isLeaf(depth + 1) ? this.#readLeaf() : yield* this.#readValue(depth + 1));
      this.#skipSpace();
    } while (this.#take(","));
    if (!this.#take("}")) throw this.#fault("Expected a comma or a brace.");
    return Object.fromEntries(members);
  }

  *#readArray(depth: number): Steps<unknown[]> {
    const items: unknown[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#take("]")) return items;
    do {
      items.push(this.#isLeaf(depth + 1) ? this.#readLeaf() : yield* this.#readValue(depth + 1));
      if (isStep(items.length)) yield;
      this.#skipSpace();
    } while (this.#take(","));
    if (!this.#take("]")) throw this.#fault("Expected a comma or a bracket.");
    return items;
  }

  #readString(): string {
    const pattern = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*"/uy;
    return JSON.parse(this.#match(pattern, "The text has no end, or a character that has to be escaped.")) as string;
  }

  #readScalar(): unknown {
    const pattern = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
    return JSON.parse(this.#match(pattern, "Expected a value.")) as unknown;
  }

  #match(pattern: RegExp, message: string): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw this.#fault(message);
    this.#at += found.length;
    return found;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    while (" \t\r\n".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #fault(message: string): Fault {
    return new Fault(this.#at, message);
  }
}
