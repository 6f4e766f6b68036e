import { isCount, type JsonValue, readListOf, readObject } from "../protocol/handover/json-value.ts";
import type { Usage } from "../proxy/limit/usage.ts";
import type { UnsavedUse } from "../state/usage-keeper.ts";
import type { CarriedState } from "./carried-state.ts";

/** Rows that are carried, those with the most bytes first. A message has a bound. */
const MOST = 16_384;
/** Milliseconds for what is not kept to be kept by this process, before the next one gets it. */
const FLUSH_MS = 3000;

/** What keeps use. */
export interface UseKeeping {
  readonly usage: Usage;
  readonly keeper:
    | {
        readonly status: { readonly fault: string | undefined };
        /** Tries to keep everything now. Resolves when that is done, or has failed, or takes longer. */
        flush(ms: number): Promise<void>;
        listUnsaved(): readonly UnsavedUse[];
      }
    | undefined;
}

type Row = readonly [user: string, day: number, up: number, down: number, requests: number];

/**
 * The use of users that could not be kept, because the disk has a fault. The next
 * process knows of it before it serves, so that nobody is let in whose quota is
 * reached; at the end, when nothing is counted here any more, it gets it to keep.
 */
export function carryUse(parts: UseKeeping): CarriedState {
  return {
    name: "use",
    settle: () => parts.keeper?.flush(FLUSH_MS) ?? Promise.resolve(),
    save(again) {
      const { usage, keeper } = parts;
      const isLast = again === "offer";
      // Without a fault this process keeps it within a second.
      if (keeper === undefined || (!isLast && keeper.status.fault === undefined)) return { isLast, rows: [] };
      const unsaved = keeper
        .listUnsaved()
        .filter(({ up, down, requests }) => up > 0 || down > 0 || requests > 0)
        .toSorted((one, other) => other.up + other.down - one.up - one.down)
        .slice(0, MOST);
      if (isLast) for (const each of unsaved) giveAway(usage, each);
      const rows = unsaved.map(({ use, day, up, down, requests }) => [use.key, day, up, down, requests]);
      return { isLast, rows } satisfies JsonValue;
    },
    restore(value) {
      const { isLast, rows: listed } = readObject(value) ?? {};
      const rows = readListOf(listed, readRow);
      if (rows === undefined || typeof isLast !== "boolean") return false;
      const { usage } = parts;
      const { user: table } = usage.tables;
      if (isLast) for (const use of table) use.awaited = undefined;
      for (const [user, day, up, down, requests] of rows) {
        const use = table.open(user);
        if (isLast) {
          use.take(day, up, down, requests);
          usage.unsaved?.add(use);
          usage.onUse?.(user);
        } else (use.awaited ??= []).push({ day, bytes: up + down });
      }
      return true;
    },
  };
}

/** Nothing of it is to be kept here any more. */
function giveAway({ unsaved }: Usage, { use, day, ...sent }: UnsavedUse): void {
  const { up, down, requests } = use.dayOf(day);
  use.save(day, { up, down, requests }, sent);
  if (!use.unsaved) unsaved?.delete(use);
}

function readRow(item: unknown): Row | undefined {
  if (!Array.isArray(item)) return undefined;
  const [user, day, up, down, requests] = item as readonly unknown[];
  return typeof user === "string" && isCount(day) && isCount(up) && isCount(down) && isCount(requests)
    ? [user, day, up, down, requests]
    : undefined;
}
