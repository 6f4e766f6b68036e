import { clientKey } from "../address/client-key.ts";
import { type Endpoint, formatEndpoint } from "../address/endpoint.ts";
import { type Host, hostFromIp, parseHost } from "../address/host.ts";
import type { Ip } from "../address/ip.ts";
import type { CompiledConfig } from "../config/compile.ts";
import { type Fact, formatFact, line, mergeFacts } from "./explain-fact.ts";
import { type AskUse, explainLimits, explainUse } from "./explain-limits.ts";
import { type AskPool, explainPools } from "./explain-pool.ts";
import { explainTerms } from "../config/rule-fields.ts";
import { explainTls } from "./explain-tls.ts";
import type { Resolver } from "../net/dns/resolver.ts";
import { explainPac, type FindPac } from "./explain-pac.ts";
import { dependsOnAddress, explainReported, explainRules } from "./explain-rules.ts";
import { explainFailure } from "../proxy/explain-failure.ts";
import { describeFailure, type Failure } from "../proxy/failure.ts";
import { HookReporter } from "../proxy/record/hook-reporter.ts";
import { OwnAddresses } from "../gate/addresses.ts";
import { authorize } from "../proxy/decide/authorize.ts";
import { guardAddress, type OwnListeners } from "../proxy/policy/guard.ts";
import { classifyThrough, type Nat64Prefixes, WELL_KNOWN_PREFIX } from "../proxy/policy/nat64.ts";
import { chooseRoute, makeRoute } from "../proxy/route/choose-route.ts";
import { resolveLogin } from "../proxy/route/hop-login.ts";
import type { PoolPlan } from "../proxy/route/pool-plan.ts";
import type { Hop } from "../proxy/route/hop.ts";
import { isPooled, type PooledRoute, resolvesNames, type Route } from "../proxy/route/route.ts";
import type { NamedRequester } from "../proxy/route/user-template.ts";
import type { UserParameters } from "../protocol/user-parameters.ts";
import { isLocalhostName, resolveHost } from "../proxy/resolve/resolve-host.ts";
import type { HookReport } from "../proxy/hook/call-hook.ts";
import { TimeLimit } from "../net/conn/time-limit.ts";
import type { Authorization, Grant, ProxyProtocolVersion } from "../proxy/policy/decision.ts";
import type { Query } from "../proxy/policy/policy.ts";

/** Who asks for what. */
export interface Question {
  readonly client: Ip;
  /** The user name as the client sends it; undefined for somebody without credentials. */
  readonly user: string | undefined;
  readonly target: Endpoint;
  /** Explain every rule of a long policy. */
  readonly allRules?: boolean;
  /** When, in milliseconds since the epoch. Default: now. */
  readonly at?: number;
}

/** What a proxy that runs knows better than its configuration says. */
export interface Running {
  /** Where it listens. */
  readonly own: OwnListeners;
  /** The PAC files that it has read. */
  readonly findPac: FindPac;
  /** What an operator has said already. */
  approval(asked: { readonly user: string | undefined; readonly client: Ip; readonly target: Endpoint }): Approval;
}

type Approval = "allowed" | "denied" | undefined;

/**
 * Says line by line what the proxy would do with a connection. Asks the same
 * functions as the proxy itself, and DNS; dials nothing. `askPool` and `askUse` ask a running proxy,
 * which `running` is.
 */
export async function explainTarget(...question: Parameters<typeof listFacts>): Promise<string[]> {
  return (await listFacts(...question)).map(formatFact);
}

/** The same, and as one object for machines. */
export async function explainBoth(
  ...question: Parameters<typeof listFacts>
): Promise<{ readonly lines: readonly string[]; readonly json: Readonly<Record<string, unknown>> }> {
  const facts = await listFacts(...question);
  return { lines: facts.map(formatFact), json: mergeFacts(facts) };
}

async function listFacts(
  compiled: CompiledConfig,
  resolver: Resolver,
  { client, user: written, target, allRules = false, at }: Question,
  askPool: AskPool = () => Promise.resolve("nobody was asked"),
  askUse: AskUse = () => Promise.resolve(undefined),
  running?: Running,
): Promise<Fact[]> {
  const { runtime } = compiled;
  const lines = [line("target", formatEndpoint(target))];
  const read = written === undefined ? undefined : runtime.authenticator.names?.read(written);
  const exempt = written === undefined ? runtime.authenticator.exempt?.find(client) : undefined;
  const asker = read?.ok === true ? read : { user: written ?? exempt?.user, parameters: undefined };
  const { user, parameters } = asker;
  lines.push({
    ...line("client", `${client.text}${user === undefined ? "" : ` as ${user}`}${listParameters(parameters)}`),
    more: { client: client.text, user, parameters },
  });
  const now = at ?? Date.now();
  lines.push(...explainTls(compiled, now));
  if (at !== undefined || runtime.policy.times !== undefined) lines.push(line("time", new Date(now).toISOString()));
  if (runtime.clients && !runtime.clients.has(client))
    return [...lines, ...refuse({ detail: "client_not_admitted", note: '"clients" does not have it' })];
  if (read?.ok === false) return [...lines, ...refuse({ detail: "parameters_malformed", note: read.note })];
  if (exempt !== undefined) lines.push(line("note", '"auth.exempt" has the client: it needs no credentials.'));
  else if (runtime.authenticator.required && user === undefined)
    lines.push(
      line(
        "note",
        "without credentials the answer is 407; what follows holds for a user that no rule names. See --user.",
      ),
    );
  const own = running?.own ?? listOwnAddresses(compiled);
  const failing: Fact[] = [];
  const hooks = new HookReporter((message) => failing.push(line("note", message)), { secrets: compiled.secrets });
  const services = { resolver, own, now: () => now, reportHook: (report: HookReport) => hooks.report(report) };
  const authorized = await authorize({ client, user, parameters, runtime }, target, services);
  const { decision, foundName } = authorized.ok ? authorized.value : authorized;
  lines.push(...failing);
  if (foundName !== undefined) lines.push(line("found", foundName));
  if (decision) lines.push(line("rule", decision.rule));
  const reported = decision?.verdict === "allow" ? decision.reported : undefined;
  if (reported !== undefined)
    lines.push({
      ...line("reported", explainReported(runtime.policy, reported)),
      more: { reported: reported.detail, reported_rule: reported.rule },
    });
  lines.push(...listMissing(compiled, running && "has no content yet").map((note) => line("note", note)));
  const hosts = listHosts(target, authorized);
  const places = decision && compiled.lists?.locate(decision.rule, { client, user, hosts, port: target.port });
  lines.push(...(places ?? []).map((place) => line("list", place)));
  const limit = new TimeLimit(runtime.timeouts.connectMs);
  const means: Means = { own, resolver, limit, client, nat64: runtime.nat64 ?? WELL_KNOWN_PREFIX };
  const query = describeDecided({ client, user, parameters, target, now }, foundName);
  const decided = { policy: runtime.policy, nat64: means.nat64, query, decidedBy: decision?.rule };
  const needsAddresses = dependsOnAddress(decided);
  const resolved = needsAddresses ? await resolveHost(target.host, resolver, limit, client) : undefined;
  const addresses = resolved?.ok === true ? resolved.value : [];
  const rules = explainRules({ ...decided, addresses }, allRules);
  const end = (facts: readonly Fact[]): Fact[] => {
    limit.release();
    if (authorized.ok) authorized.value.lookups?.release();
    return [...lines, ...facts, ...rules];
  };
  if (!authorized.ok) return end(refuse(authorized.failure));
  const pac = await explainPac(compiled, authorized.value, { target, client }, resolver, running?.findPac);
  lines.push(...pac.told.map(([name, value]) => line(name, value)));
  if (pac.failure !== undefined) return end(refuse(pac.failure));
  const route = chooseRoute({ runtime, target, user, parameters, chosen: pac.ways }, authorized.value.decision);
  if (!route.ok) return end(refuse(route.failure));
  lines.push(line("route", describeRoute(route.value, authorized.value, asker)));
  const terms = explainTerms(authorized.value.decision);
  if (terms !== undefined) lines.push(line("allows", terms));
  const limited = explainLimits(runtime.limits, { user, decision: authorized.value.decision });
  lines.push(...limited);
  const keys = { client: clientKey(client, runtime.limits.clientPrefix), user, target: formatEndpoint(target) };
  if (limited.length > 0) lines.push(...(await explainUse(keys, askUse)));
  const pools = isPooled(route.value)
    ? await explainPools(route.value, { client, user, parameters, written, target, runtime }, askPool)
    : { facts: [], failure: undefined, hops: undefined };
  lines.push(...pools.facts);
  // A member decides who resolves the name.
  const along = pools.hops === undefined ? route.value : makeRoute(pools.hops, route.value.sourceAddress);
  const shut = pools.failure ? refuse(pools.failure) : await explainUpstream(route.value, means);
  const facts = shut ?? (await explainAddresses(authorized.value, along, target, means));
  const approval = running?.approval({ user, client, target });
  return end(authorized.value.decision.ask ? facts.flatMap((fact) => askFirst(fact, approval)) : facts);
}

/** The query as it was decided: with the name that was found, or as it was asked. */
function describeDecided(asked: Query, foundName: string | undefined): Query {
  return foundName === undefined ? asked : { ...asked, foundName: { kind: "name", text: foundName } };
}

/** What to say of lists without a text: by default, that only the running proxy has them. */
export function listMissing(
  { lists }: CompiledConfig,
  why = "is not known here: only the running proxy fetches it",
): string[] {
  return (lists?.sources ?? [])
    .filter(({ key }) => lists?.texts.has(key) === false)
    .map(({ name }) => `the list ${name} ${why}`);
}

/** Where the proxy would listen itself. */
export function listOwnAddresses({ listeners, sidecar }: CompiledConfig): OwnAddresses {
  const own = new OwnAddresses();
  for (const { host, port } of listeners) own.add(host, port);
  if (sidecar?.at.kind === "tcp") own.add(sidecar.at.host, sidecar.at.port);
  return own;
}

/** What rules may have matched: the target, the name that was found for it, and its addresses. */
function listHosts({ host }: Endpoint, authorized: Authorization): Host[] {
  const { foundName, addresses = [] } = authorized.ok
    ? authorized.value
    : { foundName: authorized.foundName, addresses: undefined };
  const found = foundName === undefined ? undefined : parseHost(foundName);
  return [host, ...(found?.ok === true ? [found.host] : []), ...addresses.map(hostFromIp)];
}

interface Means {
  readonly own: OwnListeners;
  readonly resolver: Resolver;
  readonly limit: TimeLimit;
  readonly client: Ip;
  readonly nat64: Nat64Prefixes;
}

/** Why the upstream that the route begins with cannot be dialled, as far as that can be known without dialling. */
async function explainUpstream(
  route: Route | PooledRoute,
  { own, resolver, limit }: Means,
): Promise<Fact[] | undefined> {
  // The members of a pool stand in for each other.
  const [first] = isPooled(route) ? route.steps : route.hops;
  if (first === undefined || first.kind === "pool") return undefined;
  const { host, port } = first.endpoint;
  const resolved = await resolveHost(host, resolver, limit);
  if (!resolved.ok) return refuse({ ...resolved.failure, nextHop: first.name });
  if (!resolved.value.every((ip) => own.has(ip, port))) return undefined;
  return refuse({ detail: "proxy_loop", note: `upstream ${first.name}`, nextHop: first.name });
}

/** The addresses of the target and what becomes of each, and the verdict on the whole. */
async function explainAddresses(
  { decision, decisions, addresses }: Grant,
  route: Route | PooledRoute,
  target: Endpoint,
  { own, resolver, limit, client, nat64 }: Means,
): Promise<Fact[]> {
  const { host, port } = target;
  if (resolvesNames(route) && host.kind === "name" && addresses === undefined && !isLocalhostName(host.text))
    return [line("address", "left to the upstream to resolve"), allow()];
  const resolved = addresses
    ? { ok: true as const, value: addresses }
    : await resolveHost(host, resolver, limit, client);
  if (!resolved.ok) return refuse(resolved.failure);
  const judged = resolved.value.map((ip) => ({
    ip,
    failure: guardAddress(ip, port, decisions?.get(ip.text) ?? decision, { own, nat64 }),
  }));
  const lines = judged.map(({ ip, failure }) =>
    line("address", `${ip.text} (${describeClass(ip, nat64)})${failure ? `: refused, ${failure.detail}` : ""}`),
  );
  const [first] = judged;
  return judged.every(({ failure }) => failure) && first?.failure
    ? [...lines, ...refuse(first.failure), ...tellRule(first.failure, first.ip, target, nat64)]
    : [...lines, allow()];
}

function describeClass(ip: Ip, nat64: Nat64Prefixes): string {
  const { kind, inside } = classifyThrough(ip, nat64);
  return inside === undefined ? kind : `${inside.text} behind NAT64, ${kind}`;
}

/** The rule that would allow a special-purpose address. One that hands out credentials needs its exact address. */
function tellRule({ detail }: Failure, ip: Ip, { host, port }: Endpoint, nat64: Nat64Prefixes): Fact[] {
  if (detail !== "address_prohibited") return [];
  const isMetadata = classifyThrough(ip, nat64).kind === "metadata";
  const to = formatEndpoint({ host: isMetadata ? hostFromIp(ip) : host, port });
  const reason = isMetadata ? ", since it is a metadata address, which has to be named itself" : "";
  return [line("allow", `{ to: ["${to}"], allowPrivate: true } before the other rules${reason}`)];
}

function describeRoute(route: Route | PooledRoute, { decision }: Grant, asker: NamedRequester): string {
  const { name, sourceAddress } = route;
  const steps = isPooled(route) ? route.steps : route.hops;
  const way = steps.map((step) => describeStep(step, asker)).join(", then ");
  // An address of the rule is among what it allows.
  const from = sourceAddress === undefined || decision.sourceAddress !== undefined ? "" : `, from ${sourceAddress}`;
  return `${way === "" ? name : way}${from}`;
}

/** Members that are named. */
const MAX_MEMBERS = 10;

/** The user name there, when it depends on the client's. */
function describeLogin(hop: Hop, from: NamedRequester): string {
  const login = typeof hop.credentials?.user === "object" ? resolveLogin(hop, from) : undefined;
  return login?.ok === true && login.value !== undefined ? ` as ${login.value.user}` : "";
}

function listParameters(parameters: UserParameters | undefined): string {
  return Object.entries(parameters ?? {})
    .map(([name, value]) => `, ${name}=${value}`)
    .join("");
}

function describeStep(step: Hop | PoolPlan, asker: NamedRequester): string {
  if (step.kind !== "pool") {
    const { name, kind, endpoint, proxyProtocol } = step;
    return `${name} (${kind}://${formatEndpoint(endpoint)}${describeLogin(step, asker)}${describeHeader(proxyProtocol)})`;
  }
  // No name in a configuration has a slash: the rest is what a PAC file answered.
  const [upstream = "", ...answer] = step.name.split("/");
  if (answer.length > 0) return `${upstream} (PAC file: ${answer.join("/").replaceAll(",", ", ")})`;
  const balance = typeof step.balance === "function" ? "a function chooses" : step.balance;
  const members = step.members.slice(0, MAX_MEMBERS).map(({ name, backup }) => `${name}${backup ? " as backup" : ""}`);
  const more = step.members.length > MAX_MEMBERS ? `, and ${step.members.length - MAX_MEMBERS} more` : "";
  return `${step.name} (pool, ${balance}: ${members.join(", ")}${more})`;
}

function describeHeader(version: ProxyProtocolVersion | undefined): string {
  return version === undefined ? "" : `, with a PROXY header of version ${version}`;
}

function refuse(failure: Failure): Fact[] {
  const { word, status } = describeFailure(failure.detail);
  const note = failure.note === undefined ? "" : ` (${failure.note})`;
  return [
    {
      ...line("verdict", `refused with ${status}`),
      more: { allowed: false, status, error: word, detail: failure.detail },
    },
    line("reason", `${word}; ${failure.detail}${note}`),
    line("meaning", explainFailure(failure)),
  ];
}

/** What is allowed only with an approval. */
function askFirst(fact: Fact, approval: Approval): Fact[] {
  if (fact.more?.["allowed"] !== true) return [fact];
  if (approval === "allowed") return [line("note", "an operator has approved it"), fact];
  if (approval === "denied") return refuse({ detail: "approval_denied" });
  return [{ ...line("verdict", "an operator is asked"), more: { allowed: false, asks: true } }];
}

function allow(): Fact {
  return { ...line("verdict", "allowed"), more: { allowed: true } };
}
