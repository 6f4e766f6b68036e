import { describeTarget } from "../tunnels-table.ts";
import type { LiveRow } from "./live-model.ts";

/** What rows are sorted by. */
export const SORTS = ["rate", "total", "age", "user", "target", "route"] as const;
export type Sort = (typeof SORTS)[number];

const measures: Readonly<Partial<Record<Sort, (row: LiveRow) => number>>> = {
  rate: ({ up, down }) => up + down,
  total: ({ bytes_up: up, bytes_down: down }) => up + down,
  // The oldest is the one that opened first.
  age: ({ since }) => -since,
};

const texts: Readonly<Partial<Record<Sort, (row: LiveRow) => string>>> = {
  user: ({ user = "" }) => user,
  target: describeTarget,
  route: ({ route = "" }) => route,
};

/** The rows that match, in their order: the largest and the oldest first, names from A to Z; `reversed` turns it. */
export function arrangeRows(
  rows: Iterable<LiveRow>,
  { sort, reversed, filter }: { readonly sort: Sort; readonly reversed: boolean; readonly filter: string },
): LiveRow[] {
  const matches = readFilter(filter);
  const found = [...rows].filter(matches);
  const turn = reversed ? -1 : 1;
  const measure = measures[sort];
  const read = texts[sort];
  // What is equal stays in the order of age, so that rows do not jump.
  const tie = (one: LiveRow, other: LiveRow): number => one.since - other.since || (one.id < other.id ? -1 : 1);
  return found.sort((one, other) => {
    const order = measure ? measure(other) - measure(one) : read ? compare(read(one), read(other)) : 0;
    return order === 0 ? tie(one, other) : order * turn;
  });
}

function compare(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1;
}

const fields: Readonly<Record<string, (row: LiveRow) => string | undefined>> = {
  id: ({ id }) => id,
  user: ({ user }) => user,
  target: ({ target }) => target,
  client: ({ client }) => client,
  route: ({ route }) => route,
  rule: ({ rule }) => rule,
  sni: ({ tls }) => tls?.sni,
  ja4: ({ tls }) => tls?.ja4,
};

/** Words that must all be found: anywhere in a row, or in one of its fields, as `user:alice`. Case does not matter. */
function readFilter(filter: string): (row: LiveRow) => boolean {
  const tests = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "")
    .map((word): ((row: LiveRow) => boolean) => {
      const [, name = "", part = ""] = /^([a-z0-9]+):(.*)$/.exec(word) ?? [];
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (field !== undefined) return (row) => field(row)?.toLowerCase().includes(part) === true;
      return (row) => Object.values(fields).some((read) => read(row)?.toLowerCase().includes(word));
    });
  return (row) => tests.every((each) => each(row));
}
