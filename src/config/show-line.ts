import { canQuote, type Problem, shownNames } from "./problem.ts";
import type { SettingNames } from "./setting-names.ts";

/*
 * A line of a configuration may hold secrets, also where none belongs. So a shown
 * line has only what a message may repeat: names of settings, signs, and values of
 * settings that hold no secret, in the forms that cannot carry credentials, and only
 * where the message of the problem has them as well. Everything else is "…".
 */

const HIDDEN = "…";

/** Columns of a shown line at most, and of what stands before the place. */
const MAX_WIDTH = 100;
const MAX_BEFORE = 50;

/** Characters of a line that are looked at, before and after the place. */
const MAX_LOOK = 2000;

export type Notation = "script" | "yaml" | "toml";

interface Place {
  /** Both count from 1; the column counts UTF-16 units, as editors do. */
  readonly line: number;
  readonly column: number;
  /** The setting; empty for an error of the grammar, where no value is known to be harmless. */
  readonly path: Problem["path"];
  /** What is told of it. */
  readonly message: string;
}

/** The line of a place and a line with a mark below, for people; undefined where the line cannot be shown. */
export function showLine(text: string, notation: Notation, place: Place, names: SettingNames): string[] | undefined {
  const raw = readLine(text, place.line);
  const at = place.column - 1;
  // What begins or ends in the middle of a text with several lines cannot be told apart.
  if (raw === undefined || at > raw.length || /"""|'''/.test(raw)) return undefined;
  const isCut = at > MAX_LOOK;
  const line = isCut ? raw.slice(at, at + MAX_LOOK) : raw.slice(0, at + MAX_LOOK);
  const pieces = new LineReader(line, notation, isCut ? 0 : at, place, names).read();
  const marked = isCut ? 0 : pieces.findIndex(({ from, to }) => from <= at && at < to);
  const head = isCut ? [{ text: HIDDEN, from: 0, to: 0 }] : [];
  return draw([...head, ...pieces], marked < 0 ? head.length + pieces.length : head.length + marked, place.line);
}

function draw(pieces: readonly Piece[], marked: number, number: number): string[] {
  const { text: under = "" } = pieces[marked] ?? {};
  let before = pieces.slice(0, marked).map(({ text }) => text);
  const isLong = Bun.stringWidth(before.join("")) > MAX_BEFORE;
  while (Bun.stringWidth(before.join("")) > MAX_BEFORE) before = before.slice(1);
  const start = isLong ? `${HIDDEN}${before.join("")}` : before.join("").trimStart();
  let end = "";
  for (const { text } of pieces.slice(marked + 1)) {
    if (Bun.stringWidth(start + under + end + text) > MAX_WIDTH) {
      end += ` ${HIDDEN}`;
      break;
    }
    end += text;
  }
  const gutter = String(number);
  const mark = "^".repeat(Math.max(1, Bun.stringWidth(under)));
  return [
    `${gutter} | ${start}${under}${end}`.trimEnd(),
    `${" ".repeat(gutter.length)} | ${" ".repeat(Bun.stringWidth(start))}${mark}`,
  ];
}

function readLine(text: string, number: number): string | undefined {
  let from = 0;
  for (let line = 1; line < number; line++) {
    const end = text.indexOf("\n", from);
    if (end < 0) return undefined;
    from = end + 1;
  }
  const end = text.indexOf("\n", from);
  return text
    .slice(from, end < 0 ? undefined : end)
    .replace(/^\ufeff/, "")
    .replace(/\r$/, "");
}

/** A part of a line, as it is shown. */
interface Piece {
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

/** What the values at a place belong to. */
interface Context {
  readonly key: string | undefined;
  readonly hidden: boolean;
  readonly isList: boolean;
}

const SPACE = /[ \t]+/y;
const QUOTED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`/y;
const SIGN = /[{}[\](),:;=<>?!&|*+.-]/y;
const WORD: Readonly<Record<Notation, RegExp>> = {
  script: /[^\s{}[\](),:;="'`<>?!&|*+]+/y,
  yaml: /[^\s{}[\],:"'`](?:[^\s{}[\],:]|:(?=[^\s{}[\],]))*/y,
  toml: /[^\s{}[\],="'.]+/y,
};
/** What follows a name of a setting. */
const AFTER_NAME: Readonly<Record<Notation, RegExp>> = {
  script: /[ \t]*\??:/y,
  yaml: /[ \t]*:(?=\s|$)/y,
  toml: /[ \t]*[=.]/y,
};
const COMMENT: Readonly<Record<Notation, RegExp>> = {
  script: /\/\/.*|\/\*.*?(?:\*\/|$)/y,
  yaml: /(?<![^ \t])#.*/y,
  toml: /#.*/y,
};
/** Begins an item of a list in YAML. */
const ITEM = /-(?=[ \t]|$)/y;
const LANGUAGE = new Set(
  "import from export default defineConfig satisfies as const await env true false null".split(" "),
);

class LineReader {
  readonly #line: string;
  readonly #notation: Notation;
  readonly #names: SettingNames;
  readonly #shown: ReadonlySet<string>;
  readonly #message: string;
  readonly #base: Context;
  readonly #pieces: Piece[] = [];
  #outer: Context[] = [];
  #context: Context;
  #at = 0;

  constructor(line: string, notation: Notation, mark: number, { path, message }: Place, names: SettingNames) {
    this.#line = line;
    this.#notation = notation;
    this.#names = names;
    this.#shown = shownNames(path);
    this.#message = message;
    const hidden = path.length === 0 || path.some((key) => names.secret.has(String(key)));
    const last = path.findLast((key) => typeof key === "string");
    const inList = typeof path.at(-1) === "number";
    this.#base = { key: inList ? last : undefined, hidden, isList: inList };
    // What is closed before the place began in another setting, further up.
    this.#context = this.#closesBefore(mark) ? { key: undefined, hidden: true, isList: false } : this.#base;
  }

  read(): readonly Piece[] {
    const isHeader = this.#notation === "toml" && /^\s*\[/.test(this.#line) && !this.#line.includes("=");
    while (this.#at < this.#line.length) this.#readPiece(isHeader);
    return this.#pieces;
  }

  #readPiece(isHeader: boolean): void {
    const space = this.#match(SPACE);
    if (space !== undefined) return this.#push(space, space.replaceAll("\t", "  "));
    const comment = this.#match(COMMENT[this.#notation]);
    if (comment !== undefined) return this.#push(comment, "");
    const quoted = this.#match(QUOTED);
    if (quoted !== undefined) return this.#readText(quoted, quoted.slice(1, -1), quoted.charAt(0), isHeader);
    const item = this.#notation === "yaml" ? this.#match(ITEM) : undefined;
    if (item !== undefined) return this.#push(item, item);
    const word = this.#match(WORD[this.#notation]);
    if (word !== undefined) return this.#readText(word, word, "", isHeader);
    const sign = this.#match(SIGN);
    if (sign !== undefined) return this.#readSign(sign);
    // A text without an end: the rest of the line may be part of it.
    this.#push(this.#line.slice(this.#at), HIDDEN);
  }

  #readText(raw: string, text: string, quote: string, isHeader: boolean): void {
    const isName = isHeader || this.#peek(AFTER_NAME[this.#notation], raw.length);
    if (isName) {
      const { key, hidden } = this.#context;
      // In TOML the names before a dot are around the value, too.
      const isInside = key !== undefined && this.#pieces.at(-1)?.text === "." && !this.#mayShowInside(key);
      this.#context = { ...this.#context, key: text, hidden: hidden || isInside };
      return this.#push(raw, this.#isKnown(text) ? raw : `${quote}${HIDDEN}${quote}`);
    }
    const { key, hidden } = this.#context;
    // Names of constants that are called as settings are.
    const isConstant = this.#notation === "script" && key === undefined && this.#names.all.has(text);
    const isLanguage = quote === "" && (LANGUAGE.has(text) || isConstant);
    const isOpen = !hidden && key !== undefined && this.#names.open.has(key);
    const isHarmless = isOpen && canQuote(text) && this.#isTold(text);
    this.#push(raw, isLanguage || isHarmless ? raw : `${quote}${HIDDEN}${quote}`);
  }

  #readSign(sign: string): void {
    this.#push(sign, sign);
    const { key, hidden } = this.#context;
    if ("{[(".includes(sign)) {
      this.#outer.push(this.#context);
      const isInside = key !== undefined && !this.#mayShowInside(key);
      this.#context = { key: sign === "{" ? undefined : key, hidden: hidden || isInside, isList: sign === "[" };
    } else if ("}])".includes(sign)) {
      this.#context = this.#outer.pop() ?? { ...this.#base, key: undefined, isList: false };
    } else if ((sign === "," || sign === ";") && !this.#context.isList) {
      this.#context = { ...this.#context, key: undefined };
    }
  }

  /** Whether the message repeats a value: a text in quotes, a number as it is. */
  #isTold(value: string): boolean {
    if (this.#message.includes(JSON.stringify(value))) return true;
    return /^[\d.]+$/.test(value) && this.#message.split(/[ ,]|\.(?= |$)/).includes(value);
  }

  #isKnown(name: string): boolean {
    return this.#names.all.has(name) || this.#shown.has(name);
  }

  #mayShowInside(name: string): boolean {
    return this.#isKnown(name) && !this.#names.secret.has(name);
  }

  /** Whether more brackets are closed than opened somewhere before an offset. */
  #closesBefore(mark: number): boolean {
    let depth = 0;
    for (const character of this.#line.slice(0, mark)) {
      if ("{[(".includes(character)) depth++;
      if ("}])".includes(character) && --depth < 0) return true;
    }
    return false;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#line)?.[0];
    return found === "" ? undefined : found;
  }

  #peek(pattern: RegExp, after: number): boolean {
    pattern.lastIndex = this.#at + after;
    return pattern.test(this.#line);
  }

  #push(raw: string, text: string): void {
    this.#pieces.push({ text, from: this.#at, to: this.#at + raw.length });
    this.#at += raw.length;
  }
}
