import type { TunnelDetails } from "../../sidecar/tunnel-details.ts";
import type { StatusAnswer } from "../../sidecar/status.ts";
import { arrangeRows, type Sort, SORTS } from "./arrange-rows.ts";
import type { Key } from "./keys.ts";
import type { LiveModel, LiveRow } from "./live-model.ts";

/** What a key asks for that the view cannot do itself. */
export type Wish =
  | { readonly kind: "quit" | "suspend" | "redraw" }
  | { readonly kind: "end"; readonly ids: readonly string[] }
  | { readonly kind: "details"; readonly id: string };

/** A question that waits for `y`. */
interface Question {
  readonly text: string;
  readonly ids: readonly string[];
}

/** What lies over the table. */
type Over =
  | { readonly kind: "help" }
  | { readonly kind: "details"; readonly id: string; readonly found: TunnelDetails | string | undefined };

/** Characters of a filter. */
const MAX_FILTER = 200;

/** What a person looks at: the order, the filter, the chosen row, the question. It draws and asks nothing. */
export class TopView {
  sort: Sort = "rate";
  reversed = false;
  filter = "";
  /** Whether keys are written into the filter. */
  isFiltering = false;
  isPaused = false;
  question: Question | undefined;
  over: Over | undefined;
  /** What came of the last thing done, or what is wrong with the connection. */
  message: { readonly text: string; readonly isTrouble: boolean } | undefined;
  status: StatusAnswer | undefined;
  /** Rows in their order, as they were drawn last. */
  rows: readonly LiveRow[] = [];
  /** The first row on the screen. */
  first = 0;
  /** Rows that the screen has room for. */
  room = 1;
  #chosen: string | undefined;
  #filterBefore = "";

  /** The place of the chosen row; 0 for an empty table. */
  get chosenAt(): number {
    const at = this.rows.findIndex(({ id }) => id === this.#chosen);
    return Math.max(0, at);
  }

  get chosen(): LiveRow | undefined {
    return this.rows[this.chosenAt];
  }

  /** Arranges the rows anew, unless a person reads them at rest. The chosen one stays chosen; when it is over, the one in its place is. */
  arrange(model: LiveModel, room: number): void {
    this.room = Math.max(1, room);
    if (!this.isPaused) {
      const place = this.chosenAt;
      this.rows = arrangeRows(model.rows, this);
      if (this.#chosen !== undefined && !this.rows.some(({ id }) => id === this.#chosen))
        this.#chosen = this.rows[Math.min(place, this.rows.length - 1)]?.id;
    }
    const at = this.chosenAt;
    this.first = Math.min(Math.max(this.first, at - this.room + 1), at, Math.max(0, this.rows.length - this.room));
    this.first = Math.max(0, this.first);
  }

  /** What came of the details that were asked for. */
  showDetails(id: string, found: TunnelDetails | string): void {
    if (this.over?.kind === "details" && this.over.id === id) this.over = { kind: "details", id, found };
  }

  press(key: Key): Wish | undefined {
    if (key === "interrupt") return { kind: "quit" };
    if (key === "suspend") return { kind: "suspend" };
    if (key === "redraw") return { kind: "redraw" };
    if (this.question !== undefined) return this.#answer(key, this.question);
    if (this.isFiltering) return this.#type(key);
    if (this.over !== undefined) return this.#leave(key);
    this.message = undefined;
    return typeof key === "string" ? this.#move(key) : this.#act(key.character);
  }

  #answer(key: Key, { ids }: Question): Wish | undefined {
    this.question = undefined;
    if (typeof key === "object" && /^[yY]$/.test(key.character)) return { kind: "end", ids };
    this.message = { text: "Nothing was ended.", isTrouble: false };
    return undefined;
  }

  #type(key: Key): undefined {
    if (key === "enter") this.isFiltering = false;
    else if (key === "escape") {
      this.isFiltering = false;
      this.filter = this.#filterBefore;
    } else if (key === "backspace") this.filter = Array.from(this.filter).slice(0, -1).join("");
    else if (key === "clear") this.filter = "";
    else if (typeof key === "object" && this.filter.length < MAX_FILTER) this.filter += key.character;
    return undefined;
  }

  /** In the details `k` is about the row that they show, wherever it is in the table by now. */
  #leave(key: Key): undefined {
    const { over } = this;
    this.over = undefined;
    if (over?.kind !== "details" || typeof key !== "object" || key.character !== "k") return undefined;
    const opened = this.rows.find(({ id }) => id === over.id);
    if (opened !== undefined) return this.#ask([opened]);
    this.message = { text: `${over.id} is over.`, isTrouble: false };
    return undefined;
  }

  #move(key: Extract<Key, string>): Wish | undefined {
    const steps: Readonly<Partial<Record<typeof key, number>>> = {
      up: -1,
      down: 1,
      "page-up": -this.room,
      "page-down": this.room,
      home: -Infinity,
      end: Infinity,
    };
    const step = steps[key];
    if (step !== undefined) this.#chosen = this.rows[clamp(this.chosenAt + step, this.rows.length)]?.id;
    else if (key === "left") this.#sortBy(-1);
    else if (key === "right") this.#sortBy(1);
    else if (key === "escape") this.filter = "";
    else if (key === "enter" && this.chosen !== undefined) return this.#open(this.chosen.id);
    return undefined;
  }

  #open(id: string): Wish {
    this.#chosen = id;
    this.over = { kind: "details", id, found: undefined };
    return { kind: "details", id };
  }

  #act(character: string): Wish | undefined {
    switch (character) {
      case "q":
        return { kind: "quit" };
      case "s":
      case ">":
        this.#sortBy(1);
        return undefined;
      case "S":
      case "<":
        this.#sortBy(-1);
        return undefined;
      case "r":
        this.reversed = !this.reversed;
        return undefined;
      case "/":
        this.isFiltering = true;
        this.#filterBefore = this.filter;
        return undefined;
      case "p":
      case " ":
        this.isPaused = !this.isPaused;
        return undefined;
      case "?":
      case "h":
        this.over = { kind: "help" };
        return undefined;
      case "k":
        return this.#ask(this.chosen === undefined ? [] : [this.chosen]);
      case "K": {
        const user = this.chosen?.user;
        if (user === undefined) this.message = { text: "The chosen row has no user.", isTrouble: false };
        else
          this.#ask(
            this.rows.filter((row) => row.user === user),
            ` of ${user}`,
          );
        return undefined;
      }
      case "A":
        return this.#ask(this.rows, this.filter === "" ? "" : " that match the filter");
      default:
        return undefined;
    }
  }

  #sortBy(step: number): void {
    this.sort = SORTS[(SORTS.indexOf(this.sort) + step + SORTS.length) % SORTS.length] ?? "rate";
  }

  /** Names what would end: rows may move between the key and the answer. */
  #ask(rows: readonly LiveRow[], which = ""): undefined {
    const [first] = rows;
    if (first === undefined) {
      this.message = { text: "There is nothing to end.", isTrouble: false };
      return undefined;
    }
    const whose = first.user === undefined ? "" : ` of ${first.user}`;
    const text =
      rows.length === 1
        ? `End ${first.id}${whose} to ${first.target ?? "?"}?`
        : `End all ${rows.length}${which === "" ? " rows of the table" : which}?`;
    this.question = { text, ids: rows.map(({ id }) => id) };
    return undefined;
  }
}

function clamp(at: number, length: number): number {
  return Math.max(0, Math.min(at, length - 1));
}
