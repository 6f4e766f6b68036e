import type { Wanted } from "./places.ts";

/** Notes where the wanted settings of a TOML text begin, by tables, dotted names, lists and inline tables. */
export function locateInToml(text: string, wanted: Wanted): void {
  new TomlLocator(text, wanted).locate();
}

type Keys = readonly string[];

class TomlLocator {
  readonly #text: string;
  readonly #root: Wanted;
  /** Index of the last table of each list of tables. */
  readonly #tables = new Map<string, number>();
  #at = 0;

  constructor(text: string, wanted: Wanted) {
    this.#text = text;
    this.#root = wanted;
  }

  locate(): void {
    let table: Keys = [];
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      const start = this.#at;
      if (this.#text[start] === "[") table = this.#readHeader();
      else this.#locatePair(table);
      // Whatever could not be read: the next line may be clearer.
      if (this.#at === start) this.#skipLine();
    }
  }

  #readHeader(): Keys {
    const start = this.#at;
    const list = this.#text.startsWith("[[", start);
    this.#at += list ? 2 : 1;
    const keys = this.#readKeys();
    const path: string[] = [];
    for (const [index, key] of keys.entries()) {
      path.push(key);
      const name = JSON.stringify(path);
      const count = this.#tables.get(name);
      if (list && index === keys.length - 1) {
        this.#tables.set(name, (count ?? -1) + 1);
        this.#note(path, start);
        path.push(String((count ?? -1) + 1));
      } else if (count !== undefined) path.push(String(count));
    }
    this.#note(path, start);
    this.#skipLine();
    return path;
  }

  #locatePair(table: Keys): void {
    const start = this.#at;
    const keys = this.#readKeys();
    for (const count of keys.keys()) this.#note([...table, ...keys.slice(0, count + 1)], start);
    this.#skipSpaces();
    if (this.#text[this.#at] !== "=") return;
    this.#at++;
    this.#skipSpaces();
    this.#locateValue([...table, ...keys]);
  }

  #locateValue(path: Keys): void {
    switch (this.#text[this.#at]) {
      case "[":
        return this.#locateInList(path);
      case "{":
        return this.#locateInTable(path);
      case '"':
      case "'":
        return this.#skipText();
      default:
        this.#match(/[^,\]}\n#]*/y);
    }
  }

  #locateInList(path: Keys): void {
    this.#at++;
    for (let item = 0; this.#beginsEntry("]"); item++) {
      const start = this.#at;
      this.#note([...path, String(item)], start);
      this.#locateValue([...path, String(item)]);
      if (!this.#endsEntry(start)) return;
    }
  }

  #locateInTable(path: Keys): void {
    this.#at++;
    while (this.#beginsEntry("}")) {
      const start = this.#at;
      this.#locatePair(path);
      if (!this.#endsEntry(start)) return;
    }
  }

  /** Whether another entry follows; goes past the bracket when none does. */
  #beginsEntry(close: string): boolean {
    this.#skipBlank();
    if (this.#at >= this.#text.length) return false;
    if (this.#text[this.#at] !== close) return true;
    this.#at++;
    return false;
  }

  /** Goes past the comma after an entry; false when nothing was read since `start`. */
  #endsEntry(start: number): boolean {
    this.#skipBlank();
    if (this.#text[this.#at] === ",") this.#at++;
    return this.#at > start;
  }

  #readKeys(): string[] {
    const keys: string[] = [];
    do {
      this.#skipSpaces();
      const start = this.#at;
      const quote = this.#text[start];
      if (quote === '"' || quote === "'") {
        this.#skipText();
        keys.push(this.#text.slice(start + 1, this.#at - 1));
      } else keys.push(this.#match(/[\w-]*/y));
      this.#skipSpaces();
    } while (this.#match(/\./y) !== "");
    return keys;
  }

  #skipText(): void {
    const quote = this.#text[this.#at] ?? "";
    if (this.#text.startsWith(quote.repeat(3), this.#at)) {
      const escaped = quote === '"' ? /"""(?:[^\\]|\\[^])*?"{3,5}/y : /'''[^]*?'{3,5}/y;
      this.#match(escaped);
    } else this.#match(quote === '"' ? /"(?:[^"\\\n]|\\.)*"?/y : /'[^'\n]*'?/y);
  }

  #note(path: Keys, at: number): void {
    let node: Wanted | undefined = this.#root;
    for (const key of path) node = node?.members.get(key);
    if (node !== undefined) node.at ??= at;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #skipSpaces(): void {
    this.#match(/[ \t]*/y);
  }

  #skipBlank(): void {
    this.#match(/(?:[ \t\r\n]|#[^\n]*)*/y);
  }

  #skipLine(): void {
    this.#match(/[^\n]*\n?/y);
  }
}
