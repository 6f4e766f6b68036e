import type { Entry } from "./exchange.ts";
import type { SharedKind } from "./fleet.ts";

/** The sessions of pools. */
export interface SessionTable {
  /** Another proxy led a session to a member, `agoMs` ago. */
  follow(pool: string, key: string, member: string, agoMs: number): void;
}

/** A session, and the member that it was led to. */
export interface ToldSession {
  readonly pool: string;
  readonly key: string;
  readonly member: string;
  /** Milliseconds for which it is remembered after its last use. */
  readonly forMs: number;
}

interface Told {
  readonly member: string;
  readonly at: number;
}

/** Sessions that Redis remembers, and this proxy remembers to have told. */
const MAX_SESSIONS = 65_536;
/** Sessions that are read in one exchange. */
const PAGE = 500;

/**
 * Sticky sessions. Which member a session was led to is a line of a journal that
 * all proxies follow, so that each of them leads it there, too. When two led a new
 * session to different members at once, the last line wins everywhere.
 */
export class SharedSessions implements SharedKind {
  readonly #table: SessionTable;
  readonly #changed: (urgent: boolean) => void;
  readonly #now: () => number;
  /** To be told. */
  readonly #waiting = new Map<string, ToldSession>();
  /** The one that was told longest ago first. */
  readonly #told = new Map<string, Told>();
  /** The last line that was read. */
  #readTo = "0-0";
  #isBehind = true;

  constructor(table: SessionTable, changed: (urgent: boolean) => void, now = () => performance.now()) {
    this.#table = table;
    this.#changed = changed;
    this.#now = now;
  }

  /** A session was led to a member, for the first time or again. */
  bound(session: ToldSession): void {
    const { pool, key, member, forMs } = session;
    const id = nameSession(pool, key);
    const told = this.#told.get(id);
    // Others forget it when they do not hear of it: it is told again in time.
    if (told?.member === member && this.#now() - told.at < forMs / 4) return;
    if (this.#waiting.size >= MAX_SESSIONS) return;
    this.#waiting.set(id, session);
    this.#changed(told?.member !== member);
  }

  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** What others tell is read as often as this proxy has sessions of its own, and once a second in any case. */
  get isActive(): boolean {
    return this.#told.size > 0;
  }

  collect(most: number): Entry[] {
    const entries: Entry[] = [];
    for (const [id, { pool, key, member }] of this.#waiting) {
      if (entries.length >= most - 1) break;
      this.#waiting.delete(id);
      this.#remember(id, member);
      entries.push({ kind: "tell", key: "sessions", values: [pool, key, member, String(MAX_SESSIONS)], settle() {} });
    }
    entries.push({
      kind: "hear",
      key: "sessions",
      values: [this.#readTo, String(PAGE)],
      settle: (last, lines) => this.#read(String(last), Array.isArray(lines) ? lines : []),
    });
    return entries;
  }

  #remember(id: string, member: string): void {
    this.#told.delete(id);
    this.#told.set(id, { member, at: this.#now() });
    if (this.#told.size <= MAX_SESSIONS) return;
    const oldest = this.#told.keys().next();
    if (!oldest.done) this.#told.delete(oldest.value);
  }

  #read(last: string, lines: readonly unknown[]): void {
    this.#readTo = last;
    this.#isBehind = lines.length >= PAGE * 4;
    for (let at = 0; at + 3 < lines.length; at += 4) {
      const [pool, key, member, agoMs] = lines.slice(at, at + 4).map(String) as [string, string, string, string];
      const id = nameSession(pool, key);
      // What was decided here since then is a later line.
      if (!this.#waiting.has(id)) this.#table.follow(pool, key, member, Number(agoMs));
    }
  }

  retell(): void {
    this.#readTo = "0-0";
    this.#told.clear();
  }

  use(): void {
    // Sessions are not divided.
  }

  isolate(): void {
    // The sessions that are known stay.
  }
}

function nameSession(pool: string, key: string): string {
  return `${pool}\0${key}`;
}
