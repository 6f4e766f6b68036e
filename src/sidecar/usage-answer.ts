import * as z from "zod";
import { USAGE_KINDS } from "../proxy/limit/usage.ts";

const counts = z.object({ up: z.number(), down: z.number(), requests: z.number() }).meta({ id: "Counts" });
const quota = z
  .object({ limit: z.number(), used: z.number(), left: z.number(), resets_at: z.string() })
  .meta({ id: "Quota" });
const key = z.string().optional();

const row = z.object({
  user: key,
  client: key,
  target: key,
  upstream: key,
  open: z.int().describe("Tunnels and forwarded requests under way."),
  rate: z.object({ up: z.number(), down: z.number() }).describe("Bytes per second."),
  today: counts,
  month: counts,
  since: counts,
  refused: z.record(z.string(), z.number()).describe("Requests that a limit refused, by its name."),
  limits: z.record(z.string(), z.unknown()).optional(),
  used: z
    .object({ connections: z.number().optional(), requests: z.number().optional() })
    .describe("What is used of limits on connections, and requests that the rate has not brought back yet.")
    .optional(),
  quota: z.object({ day: quota.optional(), month: quota.optional() }).optional(),
});

/** The answer of `GET /usage`. A row has its key in the member that `by` names. */
export const usageAnswer = z.object({
  by: z.enum(USAGE_KINDS),
  since: z.string().describe("The first day that counts."),
  day: z.string(),
  month: z.string(),
  counting_since: z.iso.datetime(),
  kept: z.union([z.boolean(), z.string()]).describe("Whether it is kept across restarts, or why not now."),
  others: counts.extend({ number: z.number() }).describe("The sum of those beyond `top`."),
  usage: z.array(row).readonly(),
});
export type UsageAnswer = z.infer<typeof usageAnswer>;

export const usageQuery = z.object({
  by: z
    .string()
    .describe(`One of ${USAGE_KINDS.join(", ")}. Default: user.`)
    .optional(),
  key: z.string().describe("Only the row of this user, client, target or upstream.").optional(),
  since: z.string().describe("`today`, `month`, a date, or a number of days such as `7d`. Default: today.").optional(),
  top: z.string().describe("Rows at most, from 1 to 10000. Default: 100.").optional(),
  format: z.string().describe("`json` or `csv`. Default: as `Accept` says.").optional(),
});
