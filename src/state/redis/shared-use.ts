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
  /** By which the use of this machine is known: the same for all processes that count together. Undefined while it cannot be told. */
  readonly machine: () => string | undefined;
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
  #wasNamed = false;
  /** The spans that use was told of last. */
  #spans: readonly string[] = [];
  readonly #scanned = Promise.withResolvers<void>();

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

  /** Resolves when everybody's use has been looked at. */
  get scanned(): Promise<void> {
    return this.#scanned.promise;
  }

  get isBehind(): boolean {
    return this.#isBehind || (!this.#wasScanned && this.#pages.length > 0);
  }

  get isActive(): boolean {
    return this.#turns.size > 0 || this.#pages.length > 0;
  }

  collect(most: number): Entry[] {
    const { table, machine } = this.#options;
    const name = machine();
    if (name !== undefined && !this.#wasNamed) {
      this.#wasNamed = true;
      this.retell();
    }
    this.#followSpans(table.spans);
    // Two entries for each user, and one for the look at everybody.
    const users = name === undefined ? [] : this.#turns.take(Math.max(1, Math.floor((most - 1) / 2)));
    this.#isBehind = name !== undefined && this.#turns.changed > 0;
    const entries: Entry[] = [];
    for (const user of users) {
      const isIdle = this.#now() - (this.#usedAt.get(user) ?? -Infinity) >= IDLE_MS;
      for (const { name: span, bytes } of table.read(user))
        entries.push({
          kind: "use",
          key: `use:${span}`,
          values: [user, name ?? "", String(bytes), String(lastsMs(span))],
          settle: (elsewhere) => table.setElsewhere(user, span, Number(elsewhere)),
        });
      if (isIdle) this.#forget(user);
    }
    return [...entries, ...this.#scan()];
  }

  /** Tells what was used already in a span that is new: a reload can let the month begin earlier. */
  #followSpans(spans: readonly string[]): void {
    const begun = spans.filter((span) => !this.#spans.includes(span));
    this.#spans = spans;
    if (begun.length === 0) return;
    const { table } = this.#options;
    for (const user of table.users)
      if (table.read(user).some(({ name, bytes }) => bytes > 0 && begun.includes(name))) this.#turns.change(user);
    this.#scannedAt = -Infinity;
  }

  /** The next page of everybody's use. */
  #scan(): Entry[] {
    const now = this.#now();
    if (this.#pages.length === 0 && now - this.#scannedAt >= SCAN_MS) {
      this.#scannedAt = now;
      this.#pages = this.#options.table.spans.map((span) => ({ span, cursor: "0" }));
      if (this.#pages.length === 0) this.#finishScan();
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
    if (this.#pages.length === 0) this.#finishScan();
  }

  #finishScan(): void {
    this.#wasScanned = true;
    this.#scannedAt = this.#now();
    this.#scanned.resolve();
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
