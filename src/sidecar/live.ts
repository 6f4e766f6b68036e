import type { Hono } from "hono";
import * as z from "zod";
import { escapeText } from "../escape-text.ts";
import type { LiveFeed, LiveForm } from "../proxy/record/live/live-feed.ts";
import type { Step } from "../proxy/record/live/step-ring.ts";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerProblem, refuseOtherMethods } from "./problem.ts";
import { flowQuery, readFlowFilter, takeQuery } from "./read-query.ts";
import { roundQuantile } from "./series.ts";
import { formatFlow, tunnelRow } from "./tunnel-row.ts";
import { answerEventStream, EVENT_STREAM } from "./stream-chunks.ts";

/** One second, in the words of `/series`. */
const livePoint = z.object({
  at: z.int().describe("When the second ended, in milliseconds since the epoch."),
  up: z.number(),
  down: z.number(),
  connects: z.number(),
  requests: z.number(),
  refused: z.number(),
  connections: z.number(),
  tunnels: z.number(),
  dial_p50_ms: z.number().nullable(),
  dial_p99_ms: z.number().nullable(),
});

const newest = z.int().describe("Number of the newest second, as `last` of `/series`.");
const total = z.int().describe("Tunnels and forwarded requests that match, shown or not.");

/** The data of `event: state`, the first one: replaces all that was known. Of a long table it has the beginning, and ticks that follow at once have the rest. */
export const liveState = z.object({
  v: z.literal(1).describe("Version of the form. New fields may come without a new version."),
  step: newest,
  point: livePoint.nullable().describe("The newest second; null right after the start."),
  total,
  rows: z.array(tunnelRow).readonly().describe("The oldest first."),
});

/** The data of `event: tick`. */
export const liveTick = z.object({
  step: newest,
  points: z
    .array(livePoint)
    .readonly()
    .describe(
      "The seconds since the last event, the newest last: mostly one. Of many that a slow reader missed, the last 60.",
    ),
  total,
  add: z
    .array(tunnelRow)
    .readonly()
    .describe("Rows that are new, or of which more has changed than bytes: they replace those of the same id."),
  move: z
    .array(z.tuple([z.string(), z.int(), z.int()]))
    .readonly()
    .describe("`[id, bytes_up, bytes_down]` of rows whose bytes have changed."),
  gone: z.array(z.string()).readonly().describe("Ids of rows that are over."),
});

/** The live table, as the sidecar may watch it. */
export type LiveControl = Pick<LiveFeed, "watch" | "watchers">;

/** How rows and steps are written. All text can be shown on a terminal. */
export const liveForm: LiveForm = {
  row: (flow) => escapeText(JSON.stringify(formatFlow(flow))),
  point: (step, at) => JSON.stringify(formatPoint(step, at)),
};

function formatPoint({ dialP50, dialP99, ...step }: Step, at: number): z.infer<typeof livePoint> {
  return { at, ...step, dial_p50_ms: roundQuantile(dialP50), dial_p99_ms: roundQuantile(dialP99) };
}

/** Watchers at most: each has a connection, of which the sidecar has few. */
const MAX_WATCHERS = 12;
const MAX_ROWS = 5000;
const DEFAULT_ROWS = 500;

const liveQuery = flowQuery.extend({
  tunnels: z.string().describe(`Rows at most, from 0 to ${MAX_ROWS}. Default: ${DEFAULT_ROWS}.`).optional(),
});

/** Serves `GET /live`: what goes through the proxy, second by second, with the difference of the table of tunnels. */
export function mountLive(app: Hono, guards: Guards, live: LiveControl): void {
  app.get(
    "/live",
    describe({
      summary: "Streams what goes through the proxy: `event: state`, then `event: tick`.",
      needs: "read",
      answer: "text/event-stream",
    }),
    guards.read,
    takeQuery(liveQuery),
    (context) => {
      const query = new URL(context.req.url).searchParams;
      const filter = readFlowFilter(query);
      if (typeof filter === "string") return answerProblem(400, filter);
      const rows = readRows(query.get("tunnels"));
      if (typeof rows === "string") return answerProblem(400, rows);
      if (context.req.method === "HEAD") return context.body(null, 200, { "Content-Type": EVENT_STREAM });
      if (live.watchers >= MAX_WATCHERS)
        return answerProblem(429, `${MAX_WATCHERS} clients watch already, which is the most there may be.`, {
          "Retry-After": "10",
        });
      const watcher = live.watch(filter, rows);
      return answerEventStream({ next: () => watcher.next(), stop: () => watcher.close() });
    },
  );
  refuseOtherMethods(app, "/live", "GET, HEAD", guards.read);
}

function readRows(text: string | null): number | string {
  if (text === null) return DEFAULT_ROWS;
  if (/^[0-9]{1,4}$/.test(text) && Number(text) <= MAX_ROWS) return Number(text);
  return `tunnels is ${JSON.stringify(text)}. Wanted is a number of rows from 0 to ${MAX_ROWS}.`;
}
