import type { Hono } from "hono";
import * as z from "zod";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

/** A number of things, or of bytes. */
const count = z.int().nonnegative();
const direction = z.object({ up: z.number(), down: z.number() });

/** The answer of `GET /status`. */
export const statusAnswer = z.object({
  version: z.string(),
  pid: z.int(),
  started_at: z.iso.datetime().describe("When the process began to serve; of a successor, when it took over."),
  uptime_ms: count,
  phase: z.enum(["starting", "serving", "lame_duck", "draining", "ended"]),
  ready: z.boolean().describe("Whether `/readyz` answers 200."),
  reason: z.enum(["starting", "draining", "no_way_out"]).optional().describe("Why it is not ready."),
  warnings: z
    .array(z.string())
    .readonly()
    .describe("What an operator should look at, such as certificates that end within 30 days."),
  listeners: z
    .array(z.object({ address: z.string(), tls: z.boolean(), accepted: count }))
    .readonly()
    .describe("Listeners as bound, with the connections that each has accepted."),
  connections: count.describe("Client connections under way."),
  connection_limit: count.describe(
    "Client connections at once at most: `limits.connections`, or as many as the limit of open files allows.",
  ),
  tunnels: count.describe("Tunnels under way."),
  requests: count.describe("Forwarded requests under way."),
  totals: z
    .object({ connections: count, tunnels: count, requests: count, failures: count })
    .describe("Since the start: connections accepted, tunnels and forwarded requests that are over, failures."),
  bytes_up: count.describe("Bytes from clients to targets since the start, with those of what is under way."),
  bytes_down: count,
  rate: direction.describe("Bytes per second, over the last 10 seconds."),
  connects_per_s: z.number().describe("Tunnels opened per second, over the last 10 seconds."),
  requests_per_s: z.number().describe("Forwarded requests that ended per second, over the last 10 seconds."),
  dial_ms: z
    .object({ count, p50: z.number().nullable(), p99: z.number().nullable() })
    .describe("Dials of the last minute; null without any. Quantiles are exact to 5 %."),
  refusals: z
    .record(z.string(), count)
    .describe("Failures of the last 15 minutes by their precise reason, the most frequent first."),
  upstreams: z
    .object({ healthy: count, unhealthy: count })
    .describe("Members of pools and proxies of PAC files. A disabled one is neither."),
  certificates: z
    .array(z.object({ name: z.string(), days: z.int() }))
    .readonly()
    .describe("The certificates of `/certificates` and the days that are left, the first to end first."),
  lists: z
    .array(
      z.object({
        name: z.string().describe("`@dev`, the path of the file, or the URL without its query."),
        state: z
          .enum(["good", "kept", "failing", "empty"])
          .describe(
            "`empty`: no content yet, so that rules that deny by it refuse everything. `failing`: the newest content cannot be used, the one before is in use. `kept`: the last good one of the state folder, not read since the start.",
          ),
        entries: count,
        read_at: z.iso
          .datetime()
          .optional()
          .describe("When it was last read, or found to be as before; absent when that was before the start."),
        failures: count.describe("Times that it could not be read or used, since the start."),
        why: z.string().optional().describe("Why there is no newer one."),
      }),
    )
    .readonly()
    .describe("The lists of rules: the first 100, and the rest together as `other`."),
  memory_bytes: count.describe("Resident memory of the process."),
});

export type StatusAnswer = z.infer<typeof statusAnswer>;

/** Serves `GET /status`: how the proxy is, on one screen. */
export function mountStatus(app: Hono, guards: Guards, status: () => Promise<StatusAnswer>): void {
  app.get(
    "/status",
    describe({ summary: "Shows how the proxy is.", needs: "read", answer: statusAnswer }),
    guards.read,
    takeQuery(),
    async () => answerJson(await status()),
  );
  refuseOtherMethods(app, "/status", "GET, HEAD", guards.read);
}
