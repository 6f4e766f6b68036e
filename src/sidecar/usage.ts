import type { Hono } from "hono";
import { escapeText } from "../escape-text.ts";
import { parseDay } from "../proxy/limit/calendar.ts";
import { USAGE_KINDS, type UsageKind } from "../proxy/limit/usage.ts";
import { describe } from "./describe-route.ts";
import { type UsageAnswer, usageAnswer, usageQuery } from "./usage-answer.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

/** What somebody wants to know about use. */
export interface UsageQuestion {
  readonly by: UsageKind;
  /** A day by its number, a number of days that end today, a word, or a time in milliseconds since the epoch. */
  readonly since: { readonly day: number } | { readonly days: number } | { readonly at: number } | "today" | "month";
  /** Rows at most. */
  readonly top: number;
  /** The only row that is wanted; undefined for all. */
  readonly key: string | undefined;
}

/** One user, client, target or upstream. */
export type UsageRow = Omit<UsageAnswer["usage"][number], UsageKind> & { readonly key: string };

export type UsageReport = Omit<UsageAnswer, "usage"> & { readonly rows: readonly UsageRow[] };

/** Shows use. */
export interface UsageControl {
  /** The answer, which takes a second where rates have to be measured; or why there is none. */
  report(question: UsageQuestion): Promise<UsageReport | string>;
}

const MAX_TOP = 10_000;
const TOP = 100;

/** Serves `/usage`. */
export function mountUsage(app: Hono, { read: guard }: Guards, control: UsageControl): void {
  app.get(
    "/usage",
    describe({
      summary: "Shows who uses what, and what is left of quotas; with `format=csv` as text.",
      needs: "read",
      answer: usageAnswer,
      also: { "text/csv": undefined },
      problems: [503],
    }),
    guard,
    takeQuery(usageQuery),
    async (context) => {
      const query = new URL(context.req.url).searchParams;
      const question = readUsageQuery(query);
      if (typeof question === "string") return answerProblem(400, question);
      const format = query.get("format") ?? (prefersCsv(context.req.header("Accept")) ? "csv" : "json");
      if (format !== "csv" && format !== "json") return answerProblem(400, "format is json or csv.");
      const report = await control.report(question);
      if (typeof report === "string") return answerProblem(503, report);
      const { by, rows, ...rest } = report;
      if (format === "csv")
        return new Response(formatUsageCsv(report), { headers: { "Content-Type": "text/csv; charset=utf-8" } });
      return answerJson({ by, ...rest, usage: rows.map(({ key, ...row }) => ({ [by]: key, ...row })) });
    },
  );
  refuseOtherMethods(app, "/usage", "GET, HEAD", guard);
}

/** What a query wants to know, or what is wrong with it. */
function readUsageQuery(query: URLSearchParams): UsageQuestion | string {
  const by = query.get("by") ?? "user";
  if (!isKind(by)) return `by is ${JSON.stringify(by)}. Wanted is one of ${USAGE_KINDS.join(", ")}.`;
  const written = query.get("since") ?? "today";
  const since = readSince(written);
  if (since === undefined)
    return `since is ${JSON.stringify(written)}. Wanted is today, month, a date such as 2026-11-01, or a number of days such as 7d: use is counted by day.`;
  const top = query.get("top") ?? String(TOP);
  if (!/^[1-9][0-9]{0,4}$/.test(top) || Number(top) > MAX_TOP)
    return `top is ${JSON.stringify(top)}. Wanted is a number from 1 to ${MAX_TOP}.`;
  return { by, since, top: Number(top), key: query.get("key") ?? undefined };
}

function readSince(text: string): UsageQuestion["since"] | undefined {
  if (text === "today" || text === "month") return text;
  const days = /^([1-9][0-9]{0,3})d$/.exec(text)?.[1];
  if (days !== undefined) return { days: Number(days) };
  const day = parseDay(text);
  if (day !== undefined) return { day };
  const at = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : { at };
}

function isKind(text: string): text is UsageKind {
  return USAGE_KINDS.some((kind) => kind === text);
}

/** Whether CSV is asked for, and JSON is not. */
function prefersCsv(accept = ""): boolean {
  return /\btext\/csv\b/i.test(accept) && !/\bapplication\/json\b/i.test(accept);
}

const COLUMNS: readonly (readonly [title: string, read: (row: UsageRow) => string | number | undefined])[] = [
  ["open", ({ open }) => open],
  ["rate_up", ({ rate }) => rate.up],
  ["rate_down", ({ rate }) => rate.down],
  ["today_up", ({ today }) => today.up],
  ["today_down", ({ today }) => today.down],
  ["today_requests", ({ today }) => today.requests],
  ["month_up", ({ month }) => month.up],
  ["month_down", ({ month }) => month.down],
  ["month_requests", ({ month }) => month.requests],
  ["since_up", ({ since }) => since.up],
  ["since_down", ({ since }) => since.down],
  ["since_requests", ({ since }) => since.requests],
  ["refused", ({ refused }) => Object.values(refused).reduce((sum, number) => sum + number, 0)],
  ["day_quota", ({ quota }) => quota?.day?.limit],
  ["day_left", ({ quota }) => quota?.day?.left],
  ["month_quota", ({ quota }) => quota?.month?.limit],
  ["month_left", ({ quota }) => quota?.month?.left],
];

/** A line of titles, then one for each row (RFC 4180). */
function formatUsageCsv({ by, rows }: UsageReport): string {
  const lines = [
    [by, ...COLUMNS.map(([title]) => title)],
    ...rows.map((row) => [row.key, ...COLUMNS.map(([, read]) => read(row) ?? "")]),
  ];
  return lines.map((cells) => `${cells.map(quoteCell).join(",")}\r\n`).join("");
}

function quoteCell(cell: string | number): string {
  const text = escapeText(String(cell));
  // Spreadsheets take a text that begins like this for a formula, which can run programs.
  const inert = typeof cell === "string" && /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
  return /[",;]|^\s|\s$/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
