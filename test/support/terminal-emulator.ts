/** A character on the screen, and the codes of SGR that hold for it. */
export interface Cell {
  readonly text: string;
  readonly looks: string;
}

const EMPTY: Cell = { text: " ", looks: "" };
/** What prints nothing: movements, and the bell. */
const MOVES = new Set(["\r", "\n", "\r\n", "\b", "\u0007"]);

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** As much of a terminal as the commands use, so that a test sees what a person would. */
export class TerminalEmulator {
  columns: number;
  rows: number;
  /** Modes that are on, as `?1049`. */
  readonly modes: Set<string> = new Set(["?7", "?25"]);
  /** Sequences that it does not know. */
  readonly unknown: string[] = [];
  #cells: Cell[][] = [];
  #row = 0;
  #column = 0;
  #looks = "";
  #rest = "";
  readonly #decoder = new TextDecoder();

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
    this.#clear();
  }

  /** The lines, without what is empty at their ends. */
  get lines(): string[] {
    return this.#cells.map((cells) =>
      cells
        .map(({ text }) => text)
        .join("")
        .trimEnd(),
    );
  }

  get cells(): readonly (readonly Cell[])[] {
    return this.#cells;
  }

  resize(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.#clear();
  }

  write(bytes: Uint8Array | string): void {
    let left = this.#rest + (typeof bytes === "string" ? bytes : this.#decoder.decode(bytes, { stream: true }));
    this.#rest = "";
    while (left !== "") {
      const [head = "", ...tail] = left.split("\u001b");
      this.#print(head);
      if (tail.length === 0) return;
      left = tail.join("\u001b");
      const sequence = /^\[([\d;?]*)([@-~])/.exec(left);
      if (sequence === null) {
        if (/^(?:\[[\d;?]*)?$/.test(left)) this.#rest = `\u001b${left}`;
        else this.unknown.push(left.slice(0, 10));
        return;
      }
      left = left.slice(sequence[0].length);
      this.#obey(sequence[1] ?? "", sequence[2] ?? "");
    }
  }

  #obey(parameters: string, final: string): void {
    const [first = 0, second = 0] = parameters.split(";").map(Number);
    if (final === "h") this.modes.add(parameters);
    else if (final === "l") this.modes.delete(parameters);
    else if (final === "H") [this.#row, this.#column] = [Math.max(1, first) - 1, Math.max(1, second) - 1];
    else if (final === "G") this.#column = Math.max(1, first) - 1;
    else if (final === "C") this.#column += Math.max(1, first);
    else if (final === "D") this.#column = Math.max(0, this.#column - Math.max(1, first));
    else if (final === "J" && first === 0) this.#clearRest(true);
    else if (final === "J") this.#clear();
    else if (final === "K" && first === 0) this.#clearRest(false);
    else if (final === "K" && first === 2) this.#cells[this.#row] = this.#blank();
    else if (final === "m") this.#looks = parameters === "0" || parameters === "" ? "" : parameters;
    else this.unknown.push(`[${parameters}${final}`);
  }

  #print(text: string): void {
    for (const { segment } of graphemes.segment(text)) {
      if (segment === "\r" || segment === "\r\n") this.#column = 0;
      if (segment === "\n" || segment === "\r\n") this.#row = Math.min(this.rows - 1, this.#row + 1);
      if (segment === "\b") this.#column = Math.max(0, this.#column - 1);
      if (MOVES.has(segment)) continue;
      const width = Bun.stringWidth(segment);
      const line = this.#cells[this.#row];
      // Without wrapping the last column takes what comes after it.
      const at = Math.min(this.#column, this.columns - 1);
      if (line === undefined) continue;
      line[at] = { text: segment, looks: this.#looks };
      if (width === 2 && at + 1 < this.columns) line[at + 1] = { text: "", looks: this.#looks };
      this.#column += width;
      // A shell has lines that go on in the next one.
      if (this.#column > this.columns && !this.modes.has("?7"))
        this.unknown.push(`past the end of line ${this.#row + 1}: ${segment}`);
    }
  }

  #blank(): Cell[] {
    return Array.from({ length: this.columns }, () => EMPTY);
  }

  /** From the cursor to the end of its line, and the lines below. */
  #clearRest(below: boolean): void {
    this.#cells[this.#row]?.fill(EMPTY, this.#column);
    if (below) for (let row = this.#row + 1; row < this.rows; row += 1) this.#cells[row] = this.#blank();
  }

  #clear(): void {
    this.#cells = Array.from({ length: this.rows }, () => this.#blank());
  }
}
