import type { OpenModule, Source, Wanted } from "./places.ts";
import { readQuoted, readWord, skipSpace, skipToken, skipValue } from "./scan-script.ts";

/** Notes where the wanted settings of a JSON text begin. */
export function locateInJson(text: string, wanted: Wanted): void {
  new ScriptLocator({ text, constants: new Map(), imports: new Map() }).locateValue(0, wanted);
}

/**
 * Notes where the wanted settings of a configuration in TypeScript or JavaScript
 * begin, as far as they are written out: in what the file exports, in a constant
 * that is named there or spread into it, or in a constant that `open` gives of
 * another file.
 */
export function locateInScript(text: string, wanted: Wanted, open?: OpenModule): void {
  const { exported, ...module } = readTopLevel(text);
  const opened = { text, ...module, ...(open && { open }) };
  wanted.at = exported === undefined ? undefined : skipSpace(text, exported);
  if (exported !== undefined) new ScriptLocator(opened).locateValue(exported, wanted);
}

/** References to constants that are followed; they may be a circle. */
const MAX_REFERENCES = 20;

const declares = /^(?:const|let|var)$/;

/** Names that a file imports: from which file, and what they are called there. */
type Imports = Map<string, { readonly from: string; readonly name: string }>;

/** A file, and where the values of its constants begin. */
interface ScriptModule {
  readonly text: string;
  readonly constants: ReadonlyMap<string, number>;
  readonly imports: Imports;
  readonly open?: OpenModule;
  /** Undefined for the file that is asked for. */
  readonly source?: Source;
}

/** Where a constant has its value. */
interface Reference {
  readonly module: ScriptModule;
  readonly at: number;
}

/** Offsets of what a file exports by default, and of the values of its constants; and what it imports. */
function readTopLevel(text: string): {
  exported: number | undefined;
  constants: Map<string, number>;
  imports: Imports;
} {
  const constants = new Map<string, number>();
  const imports: Imports = new Map();
  let exported: number | undefined;
  let last = "";
  for (let at = skipSpace(text, 0); at < text.length;) {
    const word = readWord(text, at);
    if (last === "export" && word === "default") exported = at + word.length;
    if (word === "import") readImport(text, at, imports);
    const named = declares.test(last) && word !== "" && !declares.test(word);
    const value = named ? findInitial(text, at + word.length) : undefined;
    if (value !== undefined) constants.set(word, value);
    last = word;
    at = skipSpace(text, value ?? skipToken(text, at));
  }
  return { exported, constants, imports };
}

const importClause = /import\s+([\p{L}\p{N}_$]+)?\s*,?\s*(?:\{([^{}]*)\})?\s*from\s*["']([^"'\n]+)["']/uy;

/** Notes the names that an import gives. */
function readImport(text: string, at: number, imports: Imports): void {
  importClause.lastIndex = at;
  const [, local, names = "", from] = importClause.exec(text) ?? [];
  if (from === undefined) return;
  if (local !== undefined) imports.set(local, { from, name: "default" });
  for (const each of names.split(",")) {
    const [, name, , own] = /^\s*([\p{L}\p{N}_$]+)(\s+as\s+([\p{L}\p{N}_$]+))?\s*$/u.exec(each) ?? [];
    if (name !== undefined) imports.set(own ?? name, { from, name });
  }
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

/** Follows references, of which there are not too many. */
class References {
  #left = MAX_REFERENCES;

  /** Where the value of a constant begins; undefined for what is no constant that is known. */
  find(module: ScriptModule, name: string): Reference | undefined {
    if (this.#left === 0) return undefined;
    this.#left--;
    const at = module.constants.get(name);
    if (at !== undefined) return { module, at };
    const imported = module.imports.get(name);
    const source = imported && module.open?.(imported.from);
    if (imported === undefined || source === undefined) return undefined;
    if (source.path.endsWith(".json"))
      return { module: { text: source.text, constants: new Map(), imports: new Map(), source }, at: 0 };
    const { exported, ...other } = readTopLevel(source.text);
    const opened = { text: source.text, source, ...other, ...(source.open && { open: source.open }) };
    if (imported.name !== "default") return this.find(opened, imported.name);
    return exported === undefined ? undefined : { module: opened, at: exported };
  }
}

class ScriptLocator {
  readonly #module: ScriptModule;
  readonly #text: string;
  readonly #references: References;

  constructor(module: ScriptModule, references = new References()) {
    this.#module = module;
    this.#text = module.text;
    this.#references = references;
  }

  locateValue(from: number, wanted: Wanted): void {
    if (wanted.members.size === 0) return;
    const at = skipSpace(this.#text, from);
    switch (this.#text[at]) {
      case "{":
        return this.#locateInMap(at + 1, wanted);
      case "[":
        this.#locateInList(at + 1, wanted);
        return;
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
    const found = this.#readReference(at);
    if (found !== undefined) this.#follow(found, (locator) => locator.locateValue(found.at, wanted));
  }

  /** The constant that stands at `at` by itself, and not in an expression. */
  #readReference(at: number): Reference | undefined {
    const name = readWord(this.#text, at);
    const next = skipSpace(this.#text, at + name.length);
    const isAlone = /^(?:[,;)\]}]|as\b|satisfies\b|export\b|$)/.test(this.#text.slice(next, next + 10));
    return name !== "" && isAlone ? this.#references.find(this.#module, name) : undefined;
  }

  #follow<T>({ module }: Reference, visit: (locator: ScriptLocator) => T): T {
    return visit(module === this.#module ? this : new ScriptLocator(module, this.#references));
  }

  #locateInMap(from: number, wanted: Wanted): void {
    const text = this.#text;
    for (let at = skipSpace(text, from); at < text.length && text[at] !== "}"; at = this.#skipComma(at)) {
      if (text.startsWith("...", at)) this.#locateSpread(at + 3, wanted);
      else this.#locateMember(at, wanted);
    }
  }

  /** A spread replaces what is before it, by what is not known unless it is a map that is written out. */
  #locateSpread(from: number, wanted: Wanted): void {
    const at = skipSpace(this.#text, from);
    const found = this.#text[at] === "{" ? { module: this.#module, at } : this.#readReference(at);
    const inner = found?.module.text.charAt(skipSpace(found.module.text, found.at));
    if (found !== undefined && inner === "{") this.#follow(found, (locator) => locator.locateValue(found.at, wanted));
    else for (const member of wanted.members.values()) forget(member);
  }

  #locateMember(at: number, wanted: Wanted): void {
    const text = this.#text;
    const quoted = text[at] === '"' || text[at] === "'";
    const name = quoted ? readQuoted(text, at) : readWord(text, at);
    const member = name === undefined ? undefined : wanted.members.get(name);
    if (member === undefined) return;
    forget(member);
    this.#note(member, at);
    const after = skipSpace(text, skipToken(text, at));
    if (text[after] === ":") this.locateValue(after + 1, member);
    else if (text[after] === "," || text[after] === "}") this.#locateByName(at, member);
  }

  /** Gives the number of the items; undefined when it is not known. */
  #locateInList(from: number, wanted: Wanted, first = 0): number | undefined {
    const text = this.#text;
    let at = skipSpace(text, from);
    let item = first;
    for (; at < text.length && text[at] !== "]"; item++) {
      if (text.startsWith("...", at)) {
        const spread = this.#locateSpreadList(skipSpace(text, at + 3), wanted, item);
        // Later items have no known index.
        if (spread === undefined) return undefined;
        item += spread - 1;
      } else {
        const member = wanted.members.get(String(item));
        if (member !== undefined) {
          this.#note(member, at);
          this.locateValue(at, member);
        }
      }
      at = this.#skipComma(at);
    }
    return item - first;
  }

  #locateSpreadList(at: number, wanted: Wanted, first: number): number | undefined {
    const found = this.#readReference(at);
    if (found === undefined) return undefined;
    const { text } = found.module;
    const start = skipSpace(text, found.at);
    if (text[start] !== "[") return undefined;
    return this.#follow(found, (locator) => locator.#locateInList(start + 1, wanted, first));
  }

  #note(wanted: Wanted, at: number): void {
    wanted.at = at;
    wanted.source = this.#module.source;
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
