import { Database, type Statement } from "bun:sqlite";
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { nameError } from "../error-code.ts";
import { isCorruption } from "./usage-fault.ts";
import { nameCopy, readUsageCopy, type UseRow, writeUsageCopy } from "./usage-copy.ts";

/** A day, and the first day of its month. */
export interface LostPeriods {
  readonly day: number;
  readonly month: number;
}

export interface OpenOptions extends LostPeriods {
  /** What is known already of the month; empty for nothing. */
  readonly known: readonly UseRow[];
}

/** Days for which rows are kept: 13 months. */
const KEPT_DAYS = 400;
/** Days by which the day may advance at once for old rows to be forgotten: a clock that jumps far ahead forgets nothing then. */
const MAX_STEP_DAYS = 31;
/** Milliseconds for which another process is waited for. Two of them at a hand-over take microseconds. */
const BUSY_MS = 400;
/** Milliseconds between two copies, unless one is urgent. */
const COPY_MS = 60_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS use (
    day INTEGER NOT NULL, user TEXT NOT NULL,
    up INTEGER NOT NULL, down INTEGER NOT NULL, requests INTEGER NOT NULL,
    PRIMARY KEY (day, user)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
`;

const ADD = `
  INSERT INTO use (day, user, up, down, requests) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (day, user) DO UPDATE SET
    up = up + excluded.up, down = down + excluded.down, requests = requests + excluded.requests
  RETURNING up, down, requests
`;

/**
 * The file of use: a row for each user and day, to which every process adds what
 * it counted. A copy of the month lies beside it, for the case that it is damaged.
 */
export class UsageDatabase {
  readonly #path: string;
  readonly #database: Database;
  readonly #add: Statement<{ up: number; down: number; requests: number }, [number, string, number, number, number]>;
  #file: FileState;
  #version: number;
  #copiedAt = -Infinity;
  #isCopyDue = false;
  /** The tables were not there, and something of them was known. */
  #isRestored = false;

  private constructor(path: string, database: Database) {
    this.#path = path;
    this.#database = database;
    this.#add = database.prepare(ADD);
    this.#file = readFileState(path);
    this.#version = this.#readVersion();
  }

  /**
   * Opens the file, and makes it when it is not there. A damaged one is moved
   * aside, and what is `known`, or else the copy, takes its place.
   * @throws what SQLite says when it cannot be opened.
   */
  static open(path: string, options: OpenOptions): { database: UsageDatabase; isDamaged: boolean } {
    try {
      const database = UsageDatabase.#openSound(path, options, false);
      return { database, isDamaged: database.#isRestored };
    } catch (error) {
      if (!isCorruption(nameError(error))) throw error;
      moveAside(path);
      return { database: UsageDatabase.#openSound(path, options, true), isDamaged: true };
    }
  }

  /** The rows of a month in a file that cannot be opened for writing, or in its copy; undefined when neither can be read. */
  static peek(path: string, month: number): UseRow[] | undefined {
    try {
      const database = new Database(path, { readonly: true });
      try {
        // Needs no file in shared memory, for which there may be no room.
        database.run("PRAGMA locking_mode = EXCLUSIVE");
        return loadRows(database, month);
      } finally {
        database.close();
      }
    } catch {
      const copy = readUsageCopy(path);
      return copy === "damaged" ? undefined : copy;
    }
  }

  static #openSound(path: string, { day, month, known }: OpenOptions, isDamaged: boolean): UsageDatabase {
    const database = new Database(path, { create: true, readwrite: true });
    try {
      database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
      database.run("PRAGMA journal_mode = WAL");
      database.run("PRAGMA synchronous = NORMAL");
      assertSound(database);
      const isNew = !hasTables(database);
      const opened = database.transaction(() => {
        database.run(SCHEMA);
        const made = new UsageDatabase(path, database);
        made.#isRestored = isNew && (known.length > 0 || existsSync(nameCopy(path)));
        if (known.length > 0) made.#seed(known);
        else if (isNew) made.#restoreCopy(day, month, isDamaged);
        return made;
      });
      return opened.immediate();
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** The rows from a day on. */
  load(from: number): UseRow[] {
    return loadRows(this.#database, from);
  }

  /** Sums by user from a day to another, under the first of them. */
  sum(from: number, to: number): UseRow[] {
    return this.#database
      .query<Counted & { user: string }, [number, number]>(
        "SELECT user, SUM(up) AS up, SUM(down) AS down, SUM(requests) AS requests FROM use WHERE day BETWEEN ? AND ? GROUP BY user",
      )
      .all(from, to)
      .map(({ user, up, down, requests }) => [user, from, up, down, requests]);
  }

  /** The rows of some users from a day on. Their number times the days of a month is looked up. */
  find(users: readonly string[], from: number, to: number): UseRow[] {
    using one = this.#database.prepare<Counted, [number, string]>(
      "SELECT up, down, requests FROM use WHERE day = ? AND user = ?",
    );
    const rows: UseRow[] = [];
    for (const user of users)
      for (let day = from; day <= to; day += 1) {
        const found = one.get(day, user);
        if (found !== null) rows.push([user, day, found.up, found.down, found.requests]);
      }
    return rows;
  }

  /** Adds use, all of it or nothing, and gives the rows as they are then. `day` is the newest that was reached. */
  add(rows: readonly UseRow[], day: number): UseRow[] {
    const added = this.#database.transaction(() => {
      const before = this.#readFact("day");
      if (this.#writeFact("day", day) && before !== undefined && day - before <= MAX_STEP_DAYS)
        this.#database.run("DELETE FROM use WHERE day < ?", [day - KEPT_DAYS]);
      return rows.map(([user, of, up, down, requests]): UseRow => {
        const total = this.#add.get(of, user, up, down, requests);
        return [user, of, total?.up ?? 0, total?.down ?? 0, total?.requests ?? 0];
      });
    });
    return added.immediate();
  }

  /** Whether another process has changed the file since the last call. */
  wasChanged(): boolean {
    const version = this.#readVersion();
    const changed = version !== this.#version;
    this.#version = version;
    return changed;
  }

  /** The newest day that was reached; undefined when none was. */
  get day(): number | undefined {
    return this.#readFact("day");
  }

  /** The periods of which nothing is known, because file and copy were lost. */
  get lost(): LostPeriods | undefined {
    const [day, month] = [this.#readFact("lostDay"), this.#readFact("lostMonth")];
    return day === undefined || month === undefined ? undefined : { day, month };
  }

  /**
   * Looks whether the file is still the one that was opened, and sound where somebody wrote to it.
   * @throws what is wrong.
   */
  check(): void {
    const now = readFileState(this.#path);
    if (now.inode !== this.#file.inode) throw coded("SQLITE_NOTADB", "The file was replaced");
    const isAsBefore = now.changedAt === this.#file.changedAt && now.size === this.#file.size;
    if (!isAsBefore || now.logSize < this.#file.logSize) this.#readAnew(assertWhole);
    this.#file = now;
  }

  /** Copies the month, when the last copy is a minute old or this one is `urgent`. */
  copy(month: number, now: number, urgent: boolean): void {
    this.#isCopyDue ||= urgent;
    if (!this.#isCopyDue && now - this.#copiedAt < COPY_MS) return;
    const began = performance.now();
    writeUsageCopy(this.#path, this.load(month));
    this.#isCopyDue = false;
    // A large one less often.
    this.#copiedAt = now + (performance.now() - began) * 100;
  }

  close(): void {
    // A statement that is left keeps the file open.
    this.#add.finalize();
    this.#database.close();
  }

  /** What another connection finds: this one has pages in memory. */
  #readAnew(read: (fresh: Database) => void): void {
    const fresh = new Database(this.#path, { readonly: true });
    try {
      fresh.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
      read(fresh);
    } finally {
      fresh.close();
    }
  }

  #restoreCopy(day: number, month: number, isDamaged: boolean): void {
    const copy = readUsageCopy(this.#path);
    if (copy === undefined && !isDamaged) return;
    if (copy !== undefined && copy !== "damaged") return this.#seed(copy);
    this.#writeFact("lostDay", day);
    this.#writeFact("lostMonth", month);
  }

  #seed(rows: readonly UseRow[]): void {
    using put = this.#database.prepare(
      "INSERT OR IGNORE INTO use (user, day, up, down, requests) VALUES (?, ?, ?, ?, ?)",
    );
    for (const row of rows) put.run(...row);
  }

  #readVersion(): number {
    return this.#database.query<{ data_version: number }, []>("PRAGMA data_version").get()?.data_version ?? 0;
  }

  #readFact(name: string): number | undefined {
    return this.#database.query<{ value: number }, [string]>("SELECT value FROM fact WHERE name = ?").get(name)?.value;
  }

  /** False when it was so already. */
  #writeFact(name: string, value: number): boolean {
    if (this.#readFact(name) === value) return false;
    this.#database.run("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", [name, value]);
    return true;
  }
}

interface Counted {
  readonly up: number;
  readonly down: number;
  readonly requests: number;
}

interface FileState {
  readonly inode: number;
  readonly size: number;
  /** Of the write-ahead log, which does not get shorter while it is in use. */
  readonly logSize: number;
  readonly changedAt: number;
}

function loadRows(database: Database, from: number): UseRow[] {
  return database
    .query<Counted & { user: string; day: number }, [number]>(
      "SELECT user, day, up, down, requests FROM use WHERE day >= ?",
    )
    .all(from)
    .map(({ user, day, up, down, requests }) => [user, day, up, down, requests]);
}

/** Rows that no process of ours has written: a sum with a text in it would be no number, and no quota would be reached. */
const FOREIGN = `
  SELECT 1 FROM use WHERE typeof(day) || typeof(up) || typeof(down) || typeof(requests) <> 'integerintegerintegerinteger'
  OR typeof(user) <> 'text' LIMIT 1
`;

function assertSound(database: Database): void {
  const found = database.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get()?.quick_check;
  if (found !== "ok") throw coded("SQLITE_CORRUPT", found ?? "no answer");
  if (hasTables(database) && hasForeignRows(database)) throw coded("SQLITE_CORRUPT", "A row has other types");
}

function hasForeignRows(database: Database): boolean {
  try {
    return database.query(FOREIGN).get() !== null;
  } catch (error) {
    // A table of that name, with other columns.
    if (nameError(error) === "SQLITE_ERROR") return true;
    throw error;
  }
}

/** An empty file is sound, too. */
function assertWhole(database: Database): void {
  assertSound(database);
  if (!hasTables(database)) throw coded("SQLITE_CORRUPT", "The tables are gone");
}

function hasTables(database: Database): boolean {
  return database.query("SELECT 1 FROM sqlite_master WHERE name = 'use'").get() !== null;
}

function readFileState(path: string): FileState {
  const found = statSync(path, { throwIfNoEntry: false });
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false });
  return { inode: found?.ino ?? 0, size: found?.size ?? 0, logSize: log?.size ?? 0, changedAt: found?.mtimeMs ?? 0 };
}

/** Keeps a damaged file for whoever wants to look into it, in the place of an earlier one. */
function moveAside(path: string): void {
  for (const suffix of ["", "-wal"])
    try {
      renameSync(`${path}${suffix}`, `${path}.damaged${suffix}`);
    } catch (error) {
      if (nameError(error) !== "ENOENT") throw error;
    }
  rmSync(`${path}-shm`, { force: true });
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
