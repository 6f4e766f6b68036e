import * as z from "zod";

const count = z.int().nonnegative();
const text = z.string().optional();

/** A member of a pool, or a proxy that a PAC file named. */
const memberAnswer = z
  .object({
    name: z.string(),
    health: z.string().describe("`healthy`, or why it is left out."),
    reason: text.describe("Why it is in this state."),
    last_change: z.iso.datetime(),
    since_ms: count,
    ejected_for_ms: count.optional(),
    disabled: z.boolean().describe("Taken out of use by an operator."),
    backup: z.boolean(),
    weight: z.number(),
    max_connections: count.describe("0 for no limit."),
    connections: count,
    dialling: count,
    dialled: count,
    failed: count.describe("Dials that failed because of it."),
    failures_in_a_row: count,
    ejections: count,
    latency_ms: z.object({ p50: z.number(), p99: z.number(), average: z.number() }).optional(),
  })
  .meta({ id: "Member" });
export type MemberAnswer = z.infer<typeof memberAnswer>;

const pool = z.object({
  name: z.string(),
  kind: z.literal("pool"),
  balance: z.string(),
  waiting: count.describe("Requests that wait for a member."),
  sessions: count,
  members: z.array(memberAnswer).readonly(),
});

export type PoolAnswer = z.infer<typeof pool>;

const time = z.object({ at: z.iso.datetime(), age_ms: z.number() });

const pac = z.object({
  name: z.string(),
  kind: z.literal("pac"),
  from: z.string(),
  usable: z.boolean(),
  fault: text,
  last_read: time.optional(),
  last_change: time.optional(),
  last_failure: time.extend({ reason: z.string() }).optional(),
  failed_reads: count,
  queries: count,
  failed_queries: count,
  evaluations: count,
  members: z.array(memberAnswer).readonly(),
});
export type PacAnswer = z.infer<typeof pac>;

const single = z.object({
  name: z.string(),
  kind: z.string().describe("`http`, `https`, `socks5` and so on."),
  address: z.string(),
  dialling: count,
  dialled: count,
  failed: count,
});
export type SingleAnswer = z.infer<typeof single>;

/** An upstream in `/upstreams`. */
export const upstreamAnswer = z.union([pool, pac, single]).meta({ id: "Upstream" });
export type UpstreamAnswer = z.infer<typeof upstreamAnswer>;

export const upstreamsAnswer = z.object({ upstreams: z.array(upstreamAnswer).readonly() });

export const choiceAnswer = z.object({
  choice: z
    .array(z.object({ member: z.string(), why: z.string() }))
    .readonly()
    .describe("The first to be tried first."),
});

export const changedMember = z.object({
  changed: z.boolean().describe("Whether it was otherwise before."),
  member: memberAnswer.optional(),
});
