import type { Row } from "./live-model.ts";

/** Columns of the table of tunnels. */
export const COLUMN_KEYS = ["target", "user", "route", "age", "down", "up", "rate", "sni", "ja4"] as const;
export type ColumnKey = (typeof COLUMN_KEYS)[number];

export interface Order {
  readonly by: ColumnKey;
  readonly descending: boolean;
}

/** The way in which somebody wants a column first: the most, the oldest, or by name. */
export function firstOrder(by: ColumnKey): Order {
  return { by, descending: by === "age" || by === "down" || by === "up" || by === "rate" };
}

type Read = (row: Row) => string | number;

const read: Readonly<Record<ColumnKey, Read>> = {
  target: ({ facts }) => facts.target ?? "",
  user: ({ facts }) => facts.user ?? "",
  route: ({ facts }) => facts.route ?? "",
  age: ({ since }) => -since,
  down: ({ down }) => down,
  up: ({ up }) => up,
  rate: ({ rateUp, rateDown }) => rateUp + rateDown,
  sni: ({ facts }) => facts.tls?.sni ?? "",
  ja4: ({ facts }) => facts.tls?.ja4 ?? "",
};

/** The rows that hold every word, in order. Equal ones stay in the order of their age. */
export function arrange(rows: Iterable<Row>, filter: string, { by, descending }: Order): Row[] {
  const matches = compileFilter(filter);
  const found: Row[] = [];
  for (const row of rows) if (matches(row)) found.push(row);
  const value = read[by];
  const keyed = found.map((row) => ({ row, key: value(row) }));
  const sign = descending ? -1 : 1;
  keyed.sort((one, other) => {
    if (one.key === other.key) return one.row.since - other.row.since;
    // What is unknown comes last in either order.
    if (one.key === "") return 1;
    if (other.key === "") return -1;
    return one.key < other.key ? -sign : sign;
  });
  return keyed.map(({ row }) => row);
}

/** Fields that a word of the filter can name: `user:alice`. */
const fields: Readonly<Record<string, Read>> = {
  user: read.user,
  target: read.target,
  route: read.route,
  sni: read.sni,
  ja4: read.ja4,
  client: ({ facts }) => facts.client,
  rule: ({ facts }) => facts.rule ?? "",
  id: ({ id }) => id,
  kind: ({ facts }) => facts.kind,
};

/** `user:alice` is exact, `user:ali*` a beginning; any other word may be anywhere in a row. Quotes hold spaces together. */
function compileFilter(filter: string): (row: Row) => boolean {
  const tests = [...filter.toLowerCase().matchAll(/[^\s"]*"[^"]*"?|\S+/g)]
    .map(([word]) => word.replaceAll('"', ""))
    .filter((word) => word !== "")
    .map((word): ((row: Row) => boolean) => {
      const colon = word.indexOf(":");
      const field = fields[word.slice(0, Math.max(colon, 0))];
      const wanted = word.slice(colon + 1);
      if (field === undefined || wanted === "") return ({ text }) => text.includes(word);
      if (!wanted.endsWith("*")) return (row) => String(field(row)).toLowerCase() === wanted;
      const beginning = wanted.slice(0, -1);
      return (row) => String(field(row)).toLowerCase().startsWith(beginning);
    });
  return (row) => tests.every((test) => test(row));
}

/** The filter that finds a user. */
export function filterForUser(user: string): string {
  return /[\s"]/.test(user) ? `user:"${user.replaceAll('"', "")}"` : `user:${user}`;
}

/** Whether a filter is about one user alone. */
export function isForUser(filter: string): boolean {
  return /^user:(?:"[^"]+"|[^\s"]*[^*\s"])$/i.test(filter.trim());
}
