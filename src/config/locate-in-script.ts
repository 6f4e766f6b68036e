import type { Wanted } from "./places.ts";
import { readQuoted, readWord, skipSpace, skipToken, skipValue } from "./scan-script.ts";

/** Notes where the wanted settings of a JSON text begin. */
export function locateInJson(text: string, wanted: Wanted): void {
  new ScriptLocator(text, new Map()).locateValue(0, wanted);
}

/**
 * Notes where the wanted settings of a configuration in TypeScript or JavaScript
 * begin, as far as they are written out: in what the file exports, or in a
 * constant of the file that is named there.
 */
export function locateInScript(text: string, wanted: Wanted): void {
  const { exported, constants } = readTopLevel(text);
  if (exported !== undefined) new ScriptLocator(text, constants).locateValue(exported, wanted);
}

/** References to constants that are followed; they may be a circle. */
const MAX_REFERENCES = 20;

const declares = /^(?:const|let|var)$/;

/** Offsets of what a file exports by default, and of the values of its constants. */
function readTopLevel(text: string): { exported: number | undefined; constants: Map<string, number> } {
  const constants = new Map<string, number>();
  let exported: number | undefined;
  let last = "";
  for (let at = skipSpace(text, 0); at < text.length;) {
    const word = readWord(text, at);
    if (last === "export" && word === "default") exported = at + word.length;
    const named = declares.test(last) && word !== "" && !declares.test(word);
    const value = named ? findInitial(text, at + word.length) : undefined;
    if (value !== undefined) constants.set(word, value);
    last = word;
    at = skipSpace(text, value ?? skipToken(text, at));
  }
  return { exported, constants };
}

/** The offset after the "=" that gives a constant its value; undefined when there is none. */
function findInitial(text: string, from: number): number | undefined {
  for (
    let at = skipSpace(text, from);
    at < text.length && text[at] !== ";";
    at = skipSpace(text, skipToken(text, at))
  ) {
    // A type may have arrows.
    if (text[at] === "=" && text[at + 1] !== ">") return at + 1;
    if (text.startsWith("=>", at)) at++;
  }
  return undefined;
}

class ScriptLocator {
  readonly #text: string;
  readonly #constants: ReadonlyMap<string, number>;
  #references = 0;

  constructor(text: string, constants: ReadonlyMap<string, number>) {
    this.#text = text;
    this.#constants = constants;
  }

  locateValue(from: number, wanted: Wanted): void {
    if (wanted.members.size === 0) return;
    const at = skipSpace(this.#text, from);
    switch (this.#text[at]) {
      case "{":
        return this.#locateInMap(at + 1, wanted);
      case "[":
        return this.#locateInList(at + 1, wanted);
      case "(":
        return this.locateValue(at + 1, wanted);
      default:
        return this.#locateByName(at, wanted);
    }
  }

  #locateByName(at: number, wanted: Wanted): void {
    const name = readWord(this.#text, at);
    const next = skipSpace(this.#text, at + name.length);
    if (name === "await") return this.locateValue(next, wanted);
    if (name === "defineConfig" && this.#text[next] === "(") return this.locateValue(next + 1, wanted);
    // A constant by itself, and no expression of it.
    const value = /^(?:[,;)\]}]|as\b|satisfies\b|export\b|$)/.test(this.#text.slice(next, next + 10))
      ? this.#constants.get(name)
      : undefined;
    this.#references++;
    if (value !== undefined && this.#references <= MAX_REFERENCES) this.locateValue(value, wanted);
  }

  #locateInMap(from: number, wanted: Wanted): void {
    const text = this.#text;
    for (let at = skipSpace(text, from); at < text.length && text[at] !== "}"; at = this.#skipComma(at)) {
      // A spread may replace what is before it.
      if (text.startsWith("...", at)) for (const member of wanted.members.values()) forget(member);
      else this.#locateMember(at, wanted);
    }
  }

  #locateMember(at: number, wanted: Wanted): void {
    const text = this.#text;
    const quoted = text[at] === '"' || text[at] === "'";
    const name = quoted ? readQuoted(text, at) : readWord(text, at);
    const member = name === undefined ? undefined : wanted.members.get(name);
    if (member === undefined) return;
    forget(member);
    member.at = at;
    const after = skipSpace(text, skipToken(text, at));
    if (text[after] === ":") this.locateValue(after + 1, member);
    else if (text[after] === "," || text[after] === "}") this.#locateByName(at, member);
  }

  #locateInList(from: number, wanted: Wanted): void {
    const text = this.#text;
    let at = skipSpace(text, from);
    for (let item = 0; at < text.length && text[at] !== "]"; item++) {
      // The number of spread items is not known, so that later items have no known index.
      if (text.startsWith("...", at)) return;
      const member = wanted.members.get(String(item));
      if (member !== undefined) {
        member.at = at;
        this.locateValue(at, member);
      }
      at = this.#skipComma(at);
    }
  }

  /** The offset of the next entry of a list or map. */
  #skipComma(from: number): number {
    const end = skipValue(this.#text, from);
    return this.#text[end] === "," || this.#text[end] === ";" ? skipSpace(this.#text, end + 1) : end;
  }
}

function forget(wanted: Wanted): void {
  wanted.at = undefined;
  for (const member of wanted.members.values()) forget(member);
}
