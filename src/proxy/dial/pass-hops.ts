import type { Endpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { describeFailure, fail, type Failure, type Outcome, succeed } from "../failure.ts";
import { isLocalhostName, lookUpHost, resolveHost } from "../resolve/resolve-host.ts";
import { resolveLogin } from "../route/hop-login.ts";
import type { Hop } from "../route/hop.ts";
import type { Upstream } from "../upstream/upstreams.ts";
import { askFamilies, type Connected, type DialledAddress } from "./connect-race.ts";
import type { DialContext } from "./dial-context.ts";
import { say } from "./hop-leg.ts";
import { introduceClient } from "./introduce-client.ts";
import { type Opened, openTunnel, secureLeg } from "./open-tunnel.ts";

/** The connection through all hops and the address of the first one; or the failure, and whether to dial `again`. */
type Passed =
  | { readonly ok: true; readonly value: Connected }
  | (Extract<Opened, { ok: false }> & { readonly address?: DialledAddress });

/** Connects to the first hop of a route, and asks each hop for a tunnel to the next one. Only a hop that asks for credentials gets a second try. */
export async function passHops(context: DialContext): Promise<Passed> {
  const refusal = guardUnresolved(context);
  if (refusal !== undefined) return { ok: false, failure: refusal };
  const { hops } = context.request.route;
  // An upstream may require another connection than the one on which it asked for credentials: once.
  const patience = new Set(hops);
  for (;;) {
    const passed = await tryHops(context, hops);
    if (passed.ok || passed.again === undefined || context.limit.over !== undefined) return passed;
    if (!patience.delete(passed.again)) return passed;
  }
}

async function tryHops(context: DialContext, hops: readonly Hop[]): Promise<Passed> {
  let reached: Connected | undefined;
  for (const [index, hop] of hops.entries()) {
    const upstream = context.services.upstreams.find(hop);
    const next = hops[index + 1];
    const passed = await upstream.count(passHop(context, { hop, upstream, reached, next }));
    if (!passed.ok) {
      if (next !== undefined) context.services.upstreams.find(next).reported(passed.failure);
      return passed;
    }
    reached = passed.value;
  }
  return succeed(reached as Connected);
}

/** The step over one hop. */
interface HopStep {
  readonly hop: Hop;
  readonly upstream: Upstream;
  /** What leads to the hop; undefined for the first one, which is still to be connected to. */
  readonly reached: Connected | undefined;
  /** Undefined for the last one, which leads to the target. */
  readonly next: Hop | undefined;
}

async function passHop(context: DialContext, step: HopStep): Promise<Passed> {
  if (context.trace === undefined) return passUntraced(context, step);
  const traced = context.trace.begin("hop", step.hop.name);
  context.step = traced;
  const passed = await passUntraced(context, step);
  context.step = undefined;
  traced?.end(passed.ok ? undefined : passed.failure.detail);
  return passed;
}

async function passUntraced(context: DialContext, step: HopStep): Promise<Passed> {
  const connected = step.reached === undefined ? await connectFirst(context, step.hop) : succeed(step.reached);
  if (!connected.ok) return connected;
  const { conn, address } = connected.value;
  try {
    const opened = await askHop(context, conn, step);
    if (opened.ok) return succeed({ conn: opened.value, address });
    conn.reset();
    return { ...blameNext(opened, step), address };
  } catch (error) {
    conn.reset();
    throw error;
  }
}

/** What a hop reports of the next one is that one's failure. */
function blameNext(opened: Extract<Opened, { ok: false }>, { hop, next }: HopStep): Extract<Opened, { ok: false }> {
  const { failure } = opened;
  const isAboutNext = failure.nextHop === hop.name && failure.detail !== "upstream_credentials";
  if (next === undefined || failure.culprit !== undefined || !isAboutNext) return opened;
  return { ...opened, failure: { ...failure, culprit: next.name } };
}

async function connectFirst(context: DialContext, hop: Hop): Promise<Outcome<Connected>> {
  const { name, endpoint } = hop;
  const { host, port } = endpoint;
  const { resolver, own } = context.services;
  const lookups = lookUpHost(host, resolver, undefined, context.step);
  const connected = await context.connect(askFamilies(lookups), port, (ip) =>
    own.has(ip, port) ? fail("proxy_loop", { note: `upstream ${name}` }).failure : undefined,
  );
  lookups.release();
  return connected.ok ? connected : { ok: false, failure: blameFirst(connected.failure, name) };
}

/** Asks a hop for a tunnel to the next one, and the last one for a tunnel to the target unless the route ends there. */
async function askHop(context: DialContext, conn: Conn, { hop, upstream, next }: HopStep): Promise<Opened> {
  const { requester, client, target, wish } = context.request;
  const endsHere = next === undefined && wish?.endAtUpstream === true;
  // Who is only connected to is not told who we are.
  const login = endsHere ? succeed(undefined) : resolveLogin(hop, requester);
  if (!login.ok) return login;
  const leg = { conn, hop, login: login.value, upstream, limit: context.limit };
  if (hop.proxyProtocol !== undefined) {
    const said = say(leg, introduceClient(hop.proxyProtocol, requester, client));
    if (!said.ok) return said;
  }
  if (endsHere) return secureLeg(leg);
  const destination = await (next === undefined ? chooseTarget(context, hop, target) : chooseHop(context, hop, next));
  return destination.ok ? openTunnel(leg, destination.value) : destination;
}

/** What `hop` is asked to connect to on the way to `next`. */
async function chooseHop(context: DialContext, hop: Hop, { name, endpoint }: Hop): Promise<Outcome<Endpoint>> {
  const { host, port } = endpoint;
  if (hop.kind !== "socks5" || host.kind === "ip") return succeed(endpoint);
  const { services, limit, request, step } = context;
  const resolved = await resolveHost(host, services.resolver, limit, request.requester.client, step);
  return resolved.ok
    ? succeed({ host: hostFromIp(chooseAddress(resolved.value)), port })
    : { ok: false, failure: { ...resolved.failure, nextHop: name, culprit: name } };
}

/** What keeps us from the first hop is its own fault, unless this proxy has to do with it. */
function blameFirst(failure: Failure, name: string): Failure {
  const { blame } = describeFailure(failure.detail);
  return { ...failure, nextHop: name, ...(blame === "destination" && { culprit: name }) };
}

/** What the last hop is asked to connect to: the target, or an address of it that may be dialled. */
async function chooseTarget(context: DialContext, hop: Hop, target: Endpoint): Promise<Outcome<Endpoint>> {
  const { grant, requester } = context.request;
  const { host, port } = target;
  const judged = grant.narrowed === true ? grant.addresses : undefined;
  if (host.kind === "ip" || (hop.kind !== "socks5" && judged === undefined)) return succeed(target);
  const resolved =
    judged === undefined
      ? await resolveHost(host, context.services.resolver, context.limit, requester.client, context.step)
      : succeed(judged);
  if (!resolved.ok) return resolved;
  const refusals = resolved.value.map((ip) => context.guard(ip));
  const allowed = resolved.value.filter((_, index) => refusals[index] === undefined);
  if (allowed.length > 0) return succeed({ host: hostFromIp(chooseAddress(allowed)), port });
  return { ok: false, failure: refusals[0] ?? { detail: "dns_error" } };
}

/** The address that an upstream is asked for. It gets one try, and IPv4 is what every upstream can reach. */
function chooseAddress(addresses: readonly Ip[]): Ip {
  return addresses.find(({ family }) => family === 4) ?? (addresses[0] as Ip);
}

/** What can be said of a target that an upstream will resolve. */
function guardUnresolved(context: DialContext): Failure | undefined {
  const { target, grant } = context.request;
  const { host } = target;
  if (host.kind === "ip") return context.guard(host.ip);
  if (!isLocalhostName(host.text) || grant.decision.allowPrivate) return undefined;
  return fail("address_prohibited", { note: `${host.text} is loopback` }).failure;
}
