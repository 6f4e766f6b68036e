/** A key: a character as it is typed, or the name of another key. */
export type Key =
  | "up"
  | "down"
  | "left"
  | "right"
  | "page-up"
  | "page-down"
  | "home"
  | "end"
  | "enter"
  | "escape"
  | "backspace"
  | "interrupt"
  | "suspend"
  | "redraw"
  | "clear"
  | { readonly character: string };

const sequences: Readonly<Record<string, Key>> = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  H: "home",
  F: "end",
  "1~": "home",
  "4~": "end",
  "5~": "page-up",
  "6~": "page-down",
  "7~": "home",
  "8~": "end",
};

const controls: Readonly<Record<string, Key>> = {
  "\r": "enter",
  "\n": "enter",
  "\u007f": "backspace",
  "\b": "backspace",
  "\u0003": "interrupt",
  "\u0004": "interrupt",
  "\u001c": "interrupt",
  "\u001a": "suspend",
  "\u000c": "redraw",
  "\u0015": "clear",
};

/** Reads keys from what a terminal sends. A sequence may come in parts. */
export class KeyReader {
  #rest = "";

  /** Whether the beginning of a sequence waits, which may also be the key Escape. */
  get waits(): boolean {
    return this.#rest !== "";
  }

  /** The keys that are complete. */
  read(text: string): Key[] {
    let left = this.#rest + text;
    this.#rest = "";
    const keys: Key[] = [];
    while (left !== "") {
      if (left.startsWith("\u001b")) {
        const after = left.slice(1);
        // CSI and SS3: parameters, then one final character.
        const sequence = /^(?:\[([\d;?<]*)([@-~])|O([@-~]))/.exec(after);
        if (sequence === null) {
          if (/^(?:\[[\d;?<]*|O)?$/.test(after) && after.length < 16) {
            this.#rest = left;
            break;
          }
          keys.push("escape");
          left = after;
          continue;
        }
        left = after.slice(sequence[0].length);
        const final = sequence[2] ?? sequence[3] ?? "";
        const key = sequences[final === "~" ? `${(sequence[1] ?? "").replace(/;.*/, "")}~` : final];
        if (key !== undefined) keys.push(key);
        continue;
      }
      const character = String.fromCodePoint(left.codePointAt(0) ?? 0);
      left = left.slice(character.length);
      const key = controls[character];
      if (key !== undefined) keys.push(key);
      else if (character >= " ") keys.push({ character });
    }
    return keys;
  }

  /** What waited is the key Escape, and what was typed after it. */
  flush(): Key[] {
    const rest = this.#rest;
    this.#rest = "";
    if (rest === "") return [];
    return ["escape", ...Array.from(rest.slice(1), (character): Key => ({ character }))];
  }
}
