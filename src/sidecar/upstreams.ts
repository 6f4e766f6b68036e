import type { Hono } from "hono";
import * as z from "zod";
import type { PacCounts } from "../proxy/pac/pac-router.ts";
import type { Candidate } from "../proxy/upstream/explain-choice.ts";
import type { MemberState, PoolState } from "../proxy/upstream/pool-state.ts";
import { describe } from "./describe-route.ts";
import {
  changedMember,
  choiceAnswer,
  type MemberAnswer,
  type PacAnswer,
  upstreamAnswer,
  type UpstreamAnswer,
  upstreamsAnswer,
} from "./upstreams-answer.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { type ChoiceQuestion, readChoiceQuery, takeQuery } from "./read-query.ts";

/** An upstream that is no pool. */
export interface SingleState {
  readonly name: string;
  readonly kind: string;
  /** `host:port`. */
  readonly address: string;
  /** Dials through it that are under way, that succeeded, and that failed because of it. */
  readonly dialling: number;
  readonly dialled: number;
  readonly failed: number;
}

/** An upstream that a PAC file chooses. Times are milliseconds since the epoch. */
export interface PacState {
  readonly name: string;
  readonly kind: "pac";
  /** Where the file is, without what may be a secret in it. */
  readonly from: string;
  /** When the newest file was read, or found to be unchanged, and when the one in use was loaded; undefined before. */
  readonly readAt: number | undefined;
  readonly loadedAt: number | undefined;
  /** What is wrong with the newest file, as the rest of a sentence that begins with it. */
  readonly fault: string | undefined;
  /** Files that could not be fetched or used, and the last of these failures. */
  readonly failures: number;
  readonly lastFailure: { readonly at: number; readonly why: string } | undefined;
  readonly counts: PacCounts;
  /** The proxies that the file named. Their names are `kind://host:port`. */
  readonly members: readonly MemberState[];
}

/** Upstreams whose names, and those of their members, are all in the configuration. */
export type PoolOrSingle = PoolState | SingleState;

export type UpstreamState = PoolOrSingle | PacState;

/** Shows upstreams, and lets an operator have a say. */
export interface UpstreamControl {
  /** In the order of the configuration; then those of the environment, and those with a PAC file. */
  list(): readonly UpstreamState[];
  /** Takes a member of a pool, or a proxy that a PAC file named, out of use, or back into it. False when it was so already. */
  disable(pool: string, member: string, disabled: boolean): boolean;
  /** The members that a request would try, in order. */
  choose(pool: string, question: ChoiceQuestion): readonly Candidate[];
}

export function isPoolState(upstream: UpstreamState): upstream is PoolState {
  return "balance" in upstream;
}

function isPacState(upstream: UpstreamState): upstream is PacState {
  return "counts" in upstream;
}

const choiceQuery = z.object({
  client: z.string().describe("IP address of the client. Default: 127.0.0.1.").optional(),
  user: z.string().describe("As the client sends the name.").optional(),
  host: z.string({ error: "Missing host: the target's, without its port." }).describe("Host of the target."),
});

/** Serves `/upstreams`: the state of upstreams and of the members of pools, and what an operator does with a member. */
export function mountUpstreams(app: Hono, guards: Guards, control: UpstreamControl): void {
  app.get(
    "/upstreams",
    describe({
      summary: "Lists upstreams, and members of pools with their health.",
      needs: "read",
      answer: upstreamsAnswer,
    }),
    guards.read,
    takeQuery(),
    () => {
      const now = Date.now();
      return answerJson({ upstreams: control.list().map((upstream) => formatUpstream(upstream, now)) });
    },
  );
  app.get(
    "/upstreams/:name",
    describe({ summary: "Shows one upstream.", needs: "read", answer: upstreamAnswer, problems: [404] }),
    guards.read,
    takeQuery(),
    (context) => {
      const found = findUpstream(control, context.req.param("name"));
      return found instanceof Response ? found : answerJson(formatUpstream(found, Date.now()));
    },
  );
  app.get(
    "/upstreams/:name/choice",
    describe({
      summary: "Shows which members of a pool a request would try.",
      needs: "read",
      answer: choiceAnswer,
      problems: [404],
    }),
    guards.read,
    takeQuery(choiceQuery),
    (context) => {
      const found = findPool(control, context.req.param("name"));
      if (found instanceof Response) return found;
      const question = readChoiceQuery(new URL(context.req.url).searchParams);
      return typeof question === "string"
        ? answerProblem(400, question)
        : answerJson({ choice: control.choose(found.name, question) });
    },
  );
  for (const [action, disabled] of [
    ["disable", true],
    ["enable", false],
  ] as const) {
    const path = `/upstreams/:name/:member/${action}`;
    app.post(
      path,
      describe({
        summary: disabled ? "Takes a member of a pool out of use." : "Takes a member of a pool back into use.",
        needs: "operate",
        answer: changedMember,
        problems: [404],
      }),
      guards.operate,
      takeQuery(),
      (context) => {
        const found = findWithMembers(control, context.req.param("name") ?? "");
        if (found instanceof Response) return found;
        const name = context.req.param("member") ?? "";
        if (!found.members.some((member) => member.name === name)) {
          const what = isPacState(found) ? "is not known to have a proxy" : "has no member";
          return answerUnknown(`The upstream ${JSON.stringify(found.name)} ${what}`, name, found.members);
        }
        const changed = control.disable(found.name, name, disabled);
        const after = findWithMembers(control, found.name);
        const member = after instanceof Response ? undefined : after.members.find((one) => one.name === name);
        // A reload may have taken it away.
        return answerJson({ changed, member: member && formatMember(member, Date.now()) });
      },
    );
    refuseOtherMethods(app, path, "POST", guards.operate);
  }
  refuseOtherMethods(app, "/upstreams", "GET, HEAD", guards.read);
  refuseOtherMethods(app, "/upstreams/:name", "GET, HEAD", guards.read);
  refuseOtherMethods(app, "/upstreams/:name/choice", "GET, HEAD", guards.read);
}

function findUpstream(control: UpstreamControl, name: string): UpstreamState | Response {
  const upstreams = control.list();
  return upstreams.find((upstream) => upstream.name === name) ?? answerUnknown("There is no upstream", name, upstreams);
}

function findPool(control: UpstreamControl, name: string): PoolState | Response {
  const found = findUpstream(control, name);
  if (found instanceof Response || isPoolState(found)) return found;
  if (isPacState(found))
    return answerProblem(404, `The PAC file of the upstream ${JSON.stringify(name)} chooses. Ask "penstock explain".`);
  return answerProblem(404, `The upstream ${JSON.stringify(name)} is no pool, so it has no members.`);
}

function findWithMembers(control: UpstreamControl, name: string): PoolState | PacState | Response {
  const found = findUpstream(control, name);
  return found instanceof Response || !isPacState(found) ? findPool(control, name) : found;
}

/** Names in one answer. */
const MAX_KNOWN = 100;

/** Says which names there are. */
function answerUnknown(what: string, name: string, known: readonly { readonly name: string }[]): Response {
  const names = known.slice(0, MAX_KNOWN).map((one) => one.name);
  const more = known.length > MAX_KNOWN ? ` and ${known.length - MAX_KNOWN} more` : "";
  const there = names.length === 0 ? "There are none." : `Known are ${names.join(", ")}${more}.`;
  return answerProblem(404, `${what} ${JSON.stringify(name)}. ${there}`, {}, { known: names });
}

/** An upstream as answers have it. `now` is in milliseconds since the epoch. */
export function formatUpstream(upstream: UpstreamState, now: number): UpstreamAnswer {
  if (isPacState(upstream)) return formatPac(upstream, now);
  if (!isPoolState(upstream)) return { ...upstream };
  const { name, balance, waiting, sessions, members } = upstream;
  const formatted = members.map((member) => formatMember(member, now));
  return { name, kind: "pool", balance, waiting, sessions, members: formatted };
}

function formatPac(pac: PacState, now: number): PacAnswer {
  const { readAt, loadedAt, lastFailure, counts } = pac;
  return {
    name: pac.name,
    kind: pac.kind,
    from: pac.from,
    usable: pac.fault === undefined && loadedAt !== undefined,
    fault: pac.fault,
    last_read: formatTime(readAt, now),
    last_change: formatTime(loadedAt, now),
    last_failure: lastFailure && { ...formatMoment(lastFailure.at, now), reason: lastFailure.why },
    failed_reads: pac.failures,
    queries: counts.queries,
    failed_queries: counts.failures,
    evaluations: counts.evaluations,
    members: pac.members.map((member) => formatMember(member, now)),
  };
}

interface Moment {
  readonly at: string;
  readonly age_ms: number;
}

/** Ages hold also for a reader with another clock. */
function formatMoment(at: number, now: number): Moment {
  return { at: new Date(at).toISOString(), age_ms: Math.max(0, now - at) };
}

function formatTime(at: number | undefined, now: number): Moment | undefined {
  return at === undefined ? undefined : formatMoment(at, now);
}

function formatMember(member: MemberState, now: number): MemberAnswer {
  const { latencyMs, leftMs } = member;
  return {
    name: member.name,
    health: member.health,
    reason: member.reason,
    last_change: new Date(now - member.sinceMs).toISOString(),
    since_ms: Math.round(member.sinceMs),
    ejected_for_ms: leftMs === undefined ? undefined : Math.ceil(leftMs),
    disabled: member.disabled,
    backup: member.backup,
    weight: member.weight,
    max_connections: member.maxConnections,
    connections: member.connections,
    dialling: member.dialling,
    dialled: member.dialled,
    failed: member.failed,
    failures_in_a_row: member.failures,
    ejections: member.ejections,
    latency_ms: latencyMs && {
      p50: roundMs(latencyMs.p50),
      p99: roundMs(latencyMs.p99),
      average: roundMs(latencyMs.average),
    },
  };
}

/** Microseconds are as exact as the clock. */
function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
