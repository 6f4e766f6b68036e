import type { Endpoint } from "../address/endpoint.ts";
import type { Ip } from "../address/ip.ts";
import { isRecord } from "../config/plain-data.ts";
import type { UserParameters } from "../protocol/user-parameters.ts";
import { type Affine, findAffinity } from "../proxy/dial/member-search.ts";
import type { Failure } from "../proxy/failure.ts";
import type { MemberPlan, PoolPlan } from "../proxy/route/pool-plan.ts";
import { formatDuration } from "../proxy/record/access-line.ts";
import type { Hop } from "../proxy/route/hop.ts";
import type { PooledRoute } from "../proxy/route/route.ts";
import { type Candidate, explainChoice } from "../proxy/upstream/explain-choice.ts";
import type { PoolWish } from "../proxy/upstream/pool.ts";
import { Pools } from "../proxy/upstream/pools.ts";
import { type Fact, line } from "./explain-fact.ts";

/** What a running proxy says of a pool: its members as the sidecar has them, and whom a request would be led to. A PAC file leaves no choice. */
export interface AskedPool {
  readonly members: readonly Readonly<Record<string, unknown>>[];
  readonly choice: readonly Candidate[];
}

/** Whom a choice of a member is for. */
export interface PoolQuestion {
  readonly client: Ip;
  readonly user: string | undefined;
  readonly parameters: UserParameters | undefined;
  /** The user name as the client sends it, parameters included. */
  readonly written: string | undefined;
  readonly target: Endpoint;
  readonly runtime: Affine["requester"]["runtime"];
}

/** Asks a running proxy about a pool, or says why that cannot be. */
export type AskPool = (pool: string, question: PoolQuestion) => Promise<AskedPool | string>;

/** Members of one kind in a list. */
const MAX_LISTED = 10;

/** What is said of the pools of a route. `failure`: the running proxy would refuse a request now. */
export interface ExplainedPools {
  readonly facts: Fact[];
  readonly failure: Failure | undefined;
  /** The upstreams that the chosen members lead through; undefined when somebody is missing. */
  readonly hops: readonly Hop[] | undefined;
}

/** Says of each pool of a route which member would be chosen and why, what would come after it, and who is left out. */
export async function explainPools(route: PooledRoute, question: PoolQuestion, ask: AskPool): Promise<ExplainedPools> {
  const { client, user, parameters, target, runtime } = question;
  const pools = new Pools();
  const wish: PoolWish = {
    key: (by) => findAffinity({ requester: { client, user, parameters, runtime }, target }, by),
    tried: new Set(),
  };
  const facts: Fact[] = [];
  const hops: Hop[] = [];
  let failure: Failure | undefined;
  const explain = async (plan: PoolPlan): Promise<void> => {
    const answer = readPacAnswer(plan);
    const asked = await ask(answer?.name ?? plan.name, question);
    const unfit = pools.find(plan).passOverUnfit(question, wish.tried);
    const choice = answer
      ? chooseOfPac(answer, asked)
      : typeof asked === "string"
        ? explainChoice(pools.find(plan), wish)
        : asked.choice;
    facts.push(...describe(answer ?? plan, asked, choice));
    const [chosen] = choice;
    if (chosen === undefined || (answer && unfit)) failure ??= unfit ?? explainShortage(plan, asked);
    const way = (answer ?? plan).members.find(({ name }) => name === chosen?.member)?.way;
    if (way !== undefined && way !== "direct") await follow(way);
  };
  const follow = async (step: Hop | PoolPlan): Promise<void> => {
    if (step.kind === "pool") await explain(step);
    else hops.push(step);
  };
  for (const step of route.steps) await follow(step);
  return { facts, failure, hops: failure === undefined ? hops : undefined };
}

/** What is listed of a pool. */
type ListedPool = Pick<PoolPlan, "name" | "members"> & { readonly balance: PoolPlan["balance"] | "pac" };

/** What a PAC file answered, in order: the upstream that has the file, and the proxies; undefined for a pool of the configuration. */
function readPacAnswer({ name, members }: PoolPlan): ListedPool | undefined {
  // No name in a configuration has a slash.
  const end = name.indexOf("/");
  if (end < 0) return undefined;
  const [only] = members;
  const isAlone = only !== undefined && members.length === 1;
  const named = isAlone ? [{ ...only, name: name.slice(end + 1) }] : members.map(unwrap);
  return { name: name.slice(0, end), members: named, balance: "pac" };
}

/** A proxy that a PAC file named beside others, in the place of the pool that it is alone. */
function unwrap(member: MemberPlan): MemberPlan {
  const { way } = member;
  const [proxy] = way !== "direct" && way.kind === "pool" ? way.members : [];
  return proxy === undefined ? member : { ...member, way: proxy.way };
}

/** Those in the answer of a PAC file that are not left out now. One alone is tried even then, unless it is disabled. */
function chooseOfPac({ members }: ListedPool, asked: AskedPool | string): Candidate[] {
  const isAlone = members.length === 1;
  const states = listStates(asked);
  const isLeftOut = ({ name }: MemberPlan): boolean => {
    const { health, disabled } = states.get(name) ?? {};
    return disabled === true || (health === "ejected" && !isAlone);
  };
  return members
    .filter((member) => !isLeftOut(member))
    .map(({ name }, at) => ({ member: name, why: explainPlace(isAlone, at, name === members[0]?.name) }));
}

function explainPlace(isAlone: boolean, at: number, isFirst: boolean): string {
  if (isAlone) return "alone in the answer of the PAC file";
  if (at > 0) return "next in the answer";
  return isFirst ? "first in the answer of the PAC file" : "first in the answer of the PAC file that is not left out";
}

function listStates(asked: AskedPool | string): ReadonlyMap<unknown, Readonly<Record<string, unknown>>> {
  return new Map(typeof asked === "string" ? [] : asked.members.map((member) => [member["name"], member]));
}

function explainShortage({ name, waitMs }: PoolPlan, asked: AskedPool | string): Failure {
  const isFull = typeof asked !== "string" && asked.members.some(({ health }) => health === "healthy");
  const note = waitMs === 0 ? {} : { note: `after ${formatDuration(waitMs)} in the queue` };
  return { detail: isFull ? "upstreams_full" : "no_healthy_upstream", nextHop: name, ...note };
}

function describe(plan: ListedPool, asked: AskedPool | string, choice: readonly Candidate[]): Fact[] {
  const [chosen, ...next] = choice;
  const states = listStates(asked);
  const isOfPac = plan.balance === "pac";
  const describeOne = (member: string): string => {
    const state = states.get(member);
    const isUnknown = state === undefined && typeof asked !== "string";
    if (isOfPac && isUnknown) return member === "direct" ? member : `${member}, not used so far`;
    return `${member}, ${describeHealth(state, asked)}`;
  };
  const listed = new Set(choice.map(({ member }) => member));
  const others = plan.members.filter(({ name }) => !listed.has(name));
  const isWell = ({ name }: MemberPlan): boolean =>
    typeof asked === "string" || states.get(name)?.["health"] === "healthy";
  const candidates = plan.members.map(({ name, backup, weight }) => {
    const { health = "unknown", reason, connections } = states.get(name) ?? {};
    return { member: name, health, reason, connections, backup, weight };
  });
  const balance = typeof plan.balance === "function" ? "function" : plan.balance;
  const isAsked = typeof asked !== "string";
  return [
    {
      name: "pool",
      value: `${plan.name}, ${isAsked ? "as the running proxy has it" : `health unknown: not asked (${asked})`}`,
      more: { name: plan.name, balance, asked: isAsked, chosen, next, candidates },
    },
    ...(chosen === undefined ? [] : [line("chosen", `${describeOne(chosen.member)}: ${chosen.why}`)]),
    ...next.map(({ member, why }) => line("then", `${describeOne(member)}: ${why}`)),
    ...list("spare", others.filter(isWell), describeOne),
    ...list(
      "without",
      others.filter((member) => !isWell(member)),
      describeOne,
    ),
  ];
}

function list(name: string, members: readonly MemberPlan[], describeOne: (member: string) => string): Fact[] {
  const facts = members.slice(0, MAX_LISTED).map((member) => line(name, describeOne(member.name)));
  const more = members.length - facts.length;
  return more === 0 ? facts : [...facts, line(name, `and ${more} more`)];
}

function describeHealth(state: Readonly<Record<string, unknown>> | undefined, asked: AskedPool | string): string {
  if (typeof asked === "string") return "unknown";
  if (state === undefined) return "not in the running proxy";
  const { health, reason, ejected_for_ms: leftMs, connections, max_connections: max } = state;
  const why = health === "healthy" || typeof reason !== "string" ? "" : ` (${reason})`;
  const left = typeof leftMs === "number" ? ` for another ${formatDuration(leftMs)}` : "";
  const full = typeof max === "number" && max > 0 && typeof connections === "number" && connections >= max;
  return `${typeof health === "string" ? health : "unknown"}${why}${left}${full ? ", full" : ""}`;
}

/** What the sidecar answers about a pool and a choice; undefined when that is something else. */
export function readAskedPool(
  pool: Readonly<Record<string, unknown>>,
  answer: Readonly<Record<string, unknown>>,
): AskedPool | undefined {
  const { members, kind } = pool;
  const { choice = kind === "pac" ? [] : undefined } = answer;
  if (!Array.isArray(members) || !Array.isArray(choice)) return undefined;
  const candidates = choice.filter(isRecord).map(({ member, why }) => ({ member: String(member), why: String(why) }));
  return { members: members.filter(isRecord), choice: candidates };
}
