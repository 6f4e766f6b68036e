import { nameError } from "../error-code.ts";
import { type LostPeriods, type OpenOptions, UsageDatabase } from "./usage-database.ts";
import type { UseRow } from "./usage-copy.ts";

/** What the owner of the thread asks of it, one order after the other. */
export type UsageOrder =
  | ({ readonly kind: "open"; readonly path: string } & OpenOptions)
  | ({
      readonly kind: "write";
      readonly path: string;
      /** What to add. */
      readonly rows: readonly UseRow[];
      /** Users of whom nothing is known. */
      readonly wanted: readonly string[];
      /** Whether a copy is urgent: a quota was reached. */
      readonly urgent: boolean;
    } & OpenOptions)
  | { readonly kind: "sum"; readonly from: number; readonly to: number }
  | { readonly kind: "close" };

/** The answer to each order. */
export type UsageReply =
  | {
      readonly kind: "opened";
      readonly rows: readonly UseRow[];
      readonly day: number | undefined;
      readonly lost: LostPeriods | undefined;
      readonly isDamaged: boolean;
    }
  /** Nothing was written. `rows`: what can be read all the same. */
  | { readonly kind: "failed"; readonly code: string; readonly rows?: readonly UseRow[] | undefined }
  | {
      readonly kind: "written";
      /** The rows that were written, as they are now; then those that others wrote, and those of wanted users. */
      readonly rows: readonly UseRow[];
      readonly isDamaged: boolean;
      /** What failed afterwards: the rows are in the file all the same. */
      readonly trouble: string | undefined;
    }
  /** Sums by user, under the day of the order's beginning. */
  | { readonly kind: "summed"; readonly rows: readonly UseRow[] }
  | { readonly kind: "closed" };

/** Days that are read at the start: the longest month. A reload can let the month begin earlier. */
const LOADED_DAYS = 31;

/** What the thread holds. */
interface Held {
  database: UsageDatabase | undefined;
}

if (!Bun.isMainThread) {
  const held: Held = { database: undefined };
  addEventListener("message", ({ data }: MessageEvent<UsageOrder>) => {
    postMessage(answer(data, held));
  });
}

function answer(order: UsageOrder, held: Held): UsageReply {
  try {
    return carryOut(order, held);
  } catch (error) {
    const code = nameError(error);
    // Another look at it may find something else. A full disk and a lock change nothing about the file.
    if (code !== "SQLITE_FULL" && !code.startsWith("SQLITE_BUSY")) closeQuietly(held);
    const rows = order.kind === "open" ? UsageDatabase.peek(order.path, findFirst(order)) : undefined;
    return { kind: "failed", code, rows };
  }
}

function carryOut(order: UsageOrder, held: Held): UsageReply {
  switch (order.kind) {
    case "open": {
      const { database, isDamaged } = UsageDatabase.open(order.path, order);
      held.database = database;
      const rows = database.load(findFirst(order));
      return { kind: "opened", rows, day: database.day, lost: database.lost, isDamaged };
    }
    case "write":
      return write(order, held);
    case "sum":
      if (held.database === undefined) return { kind: "failed", code: "closed" };
      return { kind: "summed", rows: held.database.sum(order.from, order.to) };
    case "close":
      held.database?.close();
      held.database = undefined;
      return { kind: "closed" };
  }
}

/** The first day that is read at the start. */
function findFirst({ day, month }: LostPeriods): number {
  return Math.min(month, day - LOADED_DAYS + 1);
}

function write(order: Extract<UsageOrder, { kind: "write" }>, held: Held): UsageReply {
  held.database?.check();
  const opened = held.database === undefined ? UsageDatabase.open(order.path, order) : undefined;
  const database = opened?.database ?? held.database;
  if (database === undefined) throw new Error("No database is open");
  held.database = database;
  const isDamaged = opened?.isDamaged === true;
  const written = database.add(order.rows, order.day);
  // The rows are in the file: nothing after this may have them written again.
  try {
    const others = database.wasChanged() || opened !== undefined ? database.load(order.month) : [];
    const found = database.find(order.wanted, order.month, order.day);
    database.copy(order.month, performance.now(), order.urgent);
    return { kind: "written", rows: [...written, ...others, ...found], isDamaged, trouble: undefined };
  } catch (error) {
    return { kind: "written", rows: written, isDamaged, trouble: nameError(error) };
  }
}

function closeQuietly(held: Held): void {
  const { database } = held;
  held.database = undefined;
  try {
    database?.close();
  } catch {
    // What it had to say was said already.
  }
}
