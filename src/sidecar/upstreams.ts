import type { Hono, MiddlewareHandler } from "hono";
import type { Candidate } from "../proxy/upstream/explain-choice.ts";
import type { MemberState, PoolState } from "../proxy/upstream/pool-state.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { type ChoiceQuestion, readChoiceQuery, refuseQueries } from "./read-query.ts";

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

export type UpstreamState = PoolState | SingleState;

/** Shows upstreams, and lets an operator have a say. */
export interface UpstreamControl {
  /** In the order of the configuration. */
  list(): readonly UpstreamState[];
  /** Takes a member of a pool out of use, or back into it. False when it was so already. */
  disable(pool: string, member: string, disabled: boolean): boolean;
  /** The members that a request would try, in order. */
  choose(pool: string, question: ChoiceQuestion): readonly Candidate[];
}

export function isPoolState(upstream: UpstreamState): upstream is PoolState {
  return "members" in upstream;
}

/** Serves `/upstreams`: the state of upstreams and of the members of pools, and what an operator does with a member. */
export function mountUpstreams(app: Hono, guard: MiddlewareHandler, control: UpstreamControl): void {
  app.get("/upstreams", guard, refuseQueries([]), () => {
    const now = Date.now();
    return answerJson({ upstreams: control.list().map((upstream) => formatUpstream(upstream, now)) });
  });
  app.get("/upstreams/:name", guard, refuseQueries([]), (context) => {
    const found = findUpstream(control, context.req.param("name"));
    return found instanceof Response ? found : answerJson(formatUpstream(found, Date.now()));
  });
  app.get("/upstreams/:name/choice", guard, refuseQueries(["client", "user", "host"]), (context) => {
    const found = findPool(control, context.req.param("name"));
    if (found instanceof Response) return found;
    const question = readChoiceQuery(new URL(context.req.url).searchParams);
    return typeof question === "string"
      ? answerProblem(400, question)
      : answerJson({ choice: control.choose(found.name, question) });
  });
  for (const [action, disabled] of [
    ["disable", true],
    ["enable", false],
  ] as const) {
    const path = `/upstreams/:name/:member/${action}`;
    app.post(path, guard, refuseQueries([]), (context) => {
      const found = findPool(control, context.req.param("name") ?? "");
      if (found instanceof Response) return found;
      const name = context.req.param("member") ?? "";
      if (!found.members.some((member) => member.name === name))
        return answerUnknown(`The upstream ${JSON.stringify(found.name)} has no member`, name, found.members);
      const changed = control.disable(found.name, name, disabled);
      const after = findPool(control, found.name);
      const member = after instanceof Response ? undefined : after.members.find((one) => one.name === name);
      // A reload may have taken it away.
      return answerJson({ changed, member: member && formatMember(member, Date.now()) });
    });
    refuseOtherMethods(app, path, "POST", guard);
  }
  refuseOtherMethods(app, "/upstreams", "GET, HEAD", guard);
  refuseOtherMethods(app, "/upstreams/:name", "GET, HEAD", guard);
  refuseOtherMethods(app, "/upstreams/:name/choice", "GET, HEAD", guard);
}

function findUpstream(control: UpstreamControl, name: string): UpstreamState | Response {
  const upstreams = control.list();
  return upstreams.find((upstream) => upstream.name === name) ?? answerUnknown("There is no upstream", name, upstreams);
}

function findPool(control: UpstreamControl, name: string): PoolState | Response {
  const found = findUpstream(control, name);
  if (found instanceof Response || isPoolState(found)) return found;
  return answerProblem(404, `The upstream ${JSON.stringify(name)} is no pool, so it has no members.`);
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

function formatUpstream(upstream: UpstreamState, now: number): Record<string, unknown> {
  if (!isPoolState(upstream)) return { ...upstream };
  const { name, balance, waiting, sessions, members } = upstream;
  const formatted = members.map((member) => formatMember(member, now));
  return { name, kind: "pool", balance, waiting, sessions, members: formatted };
}

function formatMember(member: MemberState, now: number): Record<string, unknown> {
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
