import type { Hono } from "hono";
import * as z from "zod";
import type { Series } from "../proxy/record/live/series.ts";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

const numbers = z.array(z.number()).readonly();
const quantiles = z.array(z.number().nullable()).readonly();

/** The answer of `GET /series`: a column for each figure, the newest step last. All columns have the same length. */
export const seriesAnswer = z.object({
  step_ms: z.int().describe("Length of a step: 1,000 or 60,000."),
  from: z.iso.datetime().describe("When the first step began. The steps follow each other without gaps."),
  last: z.int().describe("Number of the newest step of a second that is in it: `/live` goes on with the next one."),
  up: numbers.describe("Bytes from clients to targets in the step."),
  down: numbers,
  connects: numbers.describe("Tunnels that opened in the step."),
  requests: numbers.describe("Forwarded requests that ended in the step."),
  refused: numbers.describe("Failures in the step, whatever their reason."),
  connections: numbers.describe("Client connections at the end of the step."),
  tunnels: numbers.describe("Tunnels at the end of the step."),
  dial_p50_ms: quantiles.describe("Of the dials that ended in the step; null without any. Exact to 5 %."),
  dial_p99_ms: quantiles,
});

export type SeriesAnswer = z.infer<typeof seriesAnswer>;

/** The spans that are kept, and the steps that they are kept in. */
export const seriesSpan = z.enum(["15m", "1d"]);
export type SeriesSpan = z.infer<typeof seriesSpan>;

const seriesQuery = z.object({
  span: z.string().describe("`15m` by second, or `1d` by minute. Default: 15m.").optional(),
});

/** The steps of a span. `now` is in milliseconds since the epoch. */
export function formatSeries(
  { seconds, minutes, sinceLastMs }: Pick<Series, "seconds" | "minutes" | "sinceLastMs">,
  span: SeriesSpan,
  now: number,
): SeriesAnswer {
  const ring = span === "15m" ? seconds : minutes;
  const stepMs = span === "15m" ? 1000 : 60_000;
  // The seconds of the minute under way are in no step.
  const overhangMs = span === "15m" ? 0 : (seconds.count % 60) * 1000;
  return {
    step_ms: stepMs,
    from: new Date(Math.round(now - sinceLastMs - overhangMs - ring.length * stepMs)).toISOString(),
    last: seconds.count - 1,
    up: ring.last("up"),
    down: ring.last("down"),
    connects: ring.last("connects"),
    requests: ring.last("requests"),
    refused: ring.last("refused"),
    connections: ring.last("connections"),
    tunnels: ring.last("tunnels"),
    dial_p50_ms: ring.last("dialP50").map(roundQuantile),
    dial_p99_ms: ring.last("dialP99").map(roundQuantile),
  };
}

/** Milliseconds to two places; null when there was no dial. */
export function roundQuantile(ms: number): number | null {
  return Number.isNaN(ms) ? null : Math.round(ms * 100) / 100;
}

/** Serves `GET /series`: what went through the proxy in the last 15 minutes, by second, or in the last day, by minute. */
export function mountSeries(app: Hono, guards: Guards, series: (span: SeriesSpan) => SeriesAnswer): void {
  app.get(
    "/series",
    describe({ summary: "Shows what went through the proxy lately.", needs: "read", answer: seriesAnswer }),
    guards.read,
    takeQuery(seriesQuery),
    (context) => {
      const written = context.req.query("span") ?? "15m";
      const span = seriesSpan.safeParse(written);
      return span.success
        ? answerJson(series(span.data))
        : answerProblem(400, `span is ${JSON.stringify(written)}. Wanted is one of ${seriesSpan.options.join(", ")}.`);
    },
  );
  refuseOtherMethods(app, "/series", "GET, HEAD", guards.read);
}
