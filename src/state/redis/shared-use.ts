import type { Entry } from "./exchange.ts";
import type { SharedKind } from "./fleet.ts";
import { KeyTurns } from "./key-turns.ts";

/** Bytes of a user in a day or in a month. */
export interface UseSpan {
  /** `day:2026-11-28` or `month:2026-11-01`, its first day. */
  readonly name: string;
  /** What was used here. It never decreases in one span. */
  readonly bytes: number;
}

/** The use of users. */
export interface UseTable {
  /** What a user has used here in the day and in the month that it is now. */
  read(user: string): readonly UseSpan[];
  /** Everybody who has used something here. */
  readonly users: Iterable<string>;
  /** The spans that it is now. */
  readonly spans: readonly string[];
  /** What was used elsewhere in a span. */
  setElsewhere(user: string, span: string, bytes: number): void;
}

export interface SharedUseOptions {
  readonly table: UseTable;
  /** By which the use of this machine is known: the same for all processes that count together. */
  readonly machine: () => string;
  readonly changed: (urgent: boolean) => void;
  readonly now?: () => number;
}

/** Milliseconds after which a user who uses nothing is not asked about any more. */
const IDLE_MS = 10_000;
/** Milliseconds between two looks at everybody. */
const SCAN_MS = 5000;
/** Users of a page of such a look. */
const PAGE = 500;
const DAY_MS = 86_400_000;

/**
 * Use, for quotas. Each machine tells what it has used in all, and not what was
 * added: telling it twice changes nothing, and after a loss Redis has it again.
 * Everybody's use is looked at in pages, so that a user who comes here for the
 * first time has no second quota.
 */
export class SharedUse implements SharedKind {
  readonly #options: SharedUseOptions;
  readonly #now: () => number;
  readonly #turns = new KeyTurns();
  readonly #usedAt = new Map<string, number>();
  #isBehind = false;
  /** The pages that are left of a look at everybody. */
  #pages: { span: string; cursor: string }[] = [];
  #scannedAt = -Infinity;
  #wasScanned = false;

  constructor(options: SharedUseOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** A user has used something. */
  changed(user: string): void {
    if (!this.#turns.change(user)) return;
    this.#usedAt.set(user, this.#now());
    this.#options.changed(false);
  }

  /** Whether everybody's use has been looked at. */
  get wasScanned(): boolean {
    return this.#wasScanned;
  }

  get isBehind(): boolean {
    return this.#isBehind || (!this.#wasScanned && this.#pages.length > 0);
  }

  get isActive(): boolean {
    return this.#turns.size > 0 || this.#pages.length > 0;
  }

  collect(most: number): Entry[] {
    const { table, machine } = this.#options;
    const users = this.#turns.take(Math.max(1, Math.floor(most / 2) - 1));
    this.#isBehind = this.#turns.changed > 0;
    const entries: Entry[] = [];
    for (const user of users) {
      const isIdle = this.#now() - (this.#usedAt.get(user) ?? -Infinity) >= IDLE_MS;
      for (const { name, bytes } of table.read(user))
        entries.push({
          kind: "use",
          key: `use:${name}`,
          values: [user, machine(), String(bytes), String(lastsMs(name))],
          settle: (elsewhere) => table.setElsewhere(user, name, Number(elsewhere)),
        });
      if (isIdle) this.#forget(user);
    }
    return [...entries, ...this.#scan()];
  }

  /** The next page of everybody's use. */
  #scan(): Entry[] {
    const now = this.#now();
    if (this.#pages.length === 0 && now - this.#scannedAt >= SCAN_MS) {
      this.#scannedAt = now;
      this.#pages = this.#options.table.spans.map((span) => ({ span, cursor: "0" }));
    }
    const [page] = this.#pages;
    if (page === undefined) return [];
    const { span, cursor } = page;
    return [
      {
        kind: "scan",
        key: `use:${span}`,
        values: [cursor, String(PAGE)],
        settle: (next, found) => this.#turnPage(page, String(next), Array.isArray(found) ? found : []),
      },
    ];
  }

  #turnPage(page: { span: string; cursor: string }, next: string, found: readonly unknown[]): void {
    const { table } = this.#options;
    for (let at = 0; at + 1 < found.length; at += 2) {
      const user = String(found[at]);
      // What is in use is told and asked for by itself.
      if (this.#usedAt.has(user)) continue;
      const mine = table.read(user).find(({ name }) => name === page.span)?.bytes ?? 0;
      table.setElsewhere(user, page.span, Math.max(0, Number(found[at + 1]) - mine));
    }
    page.cursor = next;
    if (next !== "0") return;
    this.#pages = this.#pages.filter((each) => each !== page);
    if (this.#pages.length > 0) return;
    this.#wasScanned = true;
    this.#scannedAt = this.#now();
  }

  #forget(user: string): void {
    this.#turns.forget(user);
    this.#usedAt.delete(user);
  }

  retell(): void {
    for (const user of this.#options.table.users) this.#turns.change(user);
    this.#scannedAt = -Infinity;
  }

  use(): void {
    // What is used does not depend on how many use it.
  }

  isolate(): void {
    // The last known use of the others stays.
  }
}

/** Milliseconds for which Redis keeps a span after it was last added to. */
function lastsMs(span: string): number {
  return (span.startsWith("month:") ? 45 : 3) * DAY_MS;
}
