import type { KeeperStatus } from "./acme/certificate-keeper.ts";
import { warnOfAcme } from "./compose-acme.ts";
import { hostname } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { formatEndpoint } from "./address/endpoint.ts";
import { toAsciiHost } from "./address/host.ts";
import { parseIp } from "./address/ip.ts";
import type { FleetParts } from "./compose-fleet.ts";
import { findUsageWarnings, type UsageParts } from "./compose-usage.ts";
import type { CompiledConfig } from "./config/compile.ts";
import { pickToken } from "./config/sidecar.ts";
import { quoteValue } from "./config/problem.ts";
import { parseDuration } from "./config/quantity.ts";
import type { Drain } from "./drain.ts";
import type { Gate } from "./gate/gate.ts";
import type { PassedSockets } from "./net/handover/passed-sockets.ts";
import { createFetchTls } from "./net/http/fetch-tls.ts";
import { serveHttp } from "./net/http/serve-http.ts";
import type { Listen } from "./net/runtime/listen.ts";
import type { TlsContexts } from "./net/runtime/tls-contexts.ts";
import { createListenerTls, type ListenerTls } from "./proxy/accept/listener-tls.ts";
import { findAffinity } from "./proxy/dial/member-search.ts";
import { isDefaultRouteOpen } from "./proxy/dial/upstream-probe.ts";
import { asksPac } from "./proxy/pac/choose-ways.ts";
import { explainChoice } from "./proxy/upstream/explain-choice.ts";
import type { Member } from "./proxy/upstream/member.ts";
import { describeProxies } from "./proxy/upstream/pac-proxies.ts";
import { describePool } from "./proxy/upstream/pool-state.ts";
import type { ControlPort, DrainControl, Readiness } from "./sidecar/control-port.ts";
import type { PacStatus } from "./pac/followed-pac.ts";
import type { PacFiles } from "./pac/pac-files.ts";
import { TokenThrottle } from "./sidecar/token-throttle.ts";
import { type Sidecar, startSidecar } from "./sidecar/serve.ts";
import { version } from "./version.ts";
import type { PacState, PoolOrSingle, UpstreamControl } from "./sidecar/upstreams.ts";

export type SidecarPlan = NonNullable<CompiledConfig["sidecar"]>;

/** The sidecar of a daemon, and what it needs for the next one. */
export interface OpenSidecar {
  readonly sidecar: Sidecar;
  /** Undefined while it speaks no TLS. */
  readonly tls: ListenerTls | undefined;
  /** Whether a plan has the address that is bound. */
  isAt(plan: SidecarPlan): boolean;
  /** Prepares to answer requests to come by this plan, which has the same address. */
  prepare(plan: SidecarPlan): { readonly ok: true; commit(): void } | { readonly ok: false; readonly message: string };
}

/** What a sidecar gets of the process. */
export interface SidecarSockets {
  readonly listen: Listen;
  readonly passed: PassedSockets;
  readonly contexts: TlsContexts;
}

type SidecarOpening =
  { readonly ok: true; readonly open: OpenSidecar } | { readonly ok: false; readonly message: string };

/** Starts the sidecar of a configuration. */
export async function openSidecar(
  plan: SidecarPlan,
  port: ControlPort,
  { listen, passed: others, contexts }: SidecarSockets,
  reportBug: (error: unknown) => void,
): Promise<SidecarOpening> {
  // Its schemas are made only where there is a sidecar.
  const { createSidecarApp } = await import("./sidecar/sidecar-app.ts");
  const throttle = new TokenThrottle();
  const createApp = ({ at, tokens, allowedHosts, tls: secure }: SidecarPlan) =>
    createSidecarApp(port, {
      reportBug,
      throttle,
      version,
      tokens,
      ...(at.kind === "tcp" && { allowedHosts: [hostname(), ...allowedHosts, ...(secure?.trust.names ?? [])] }),
    });
  const { at } = plan;
  const token = pickToken(plan, "operate") ?? plan.tokens[0]?.token;
  let app = createApp(plan);
  const secured = prepareTls(undefined, plan, contexts);
  if (!secured.ok) return secured;
  let { tls } = secured;
  const passed = at.kind === "tcp" ? undefined : others.takeUnix(at.path);
  const started = await startSidecar({
    app: { fetch: (request, upgrade) => app.fetch(request, upgrade) },
    address: at.kind === "tcp" ? at : { unix: at.path },
    ...(token && { token }),
    isPassed: passed !== undefined,
    ...(plan.tls && { tls: createFetchTls(plan.tls.trust) }),
    serveHttp: (options) => serveHttp({ ...options, listen, passed, secure: () => tls?.current }),
    reportBug,
  });
  if (!started.ok) return started;
  return {
    ok: true,
    open: {
      sidecar: started.sidecar,
      get tls() {
        return tls;
      },
      isAt: (next) => isDeepStrictEqual(next.at, at),
      prepare(next) {
        const prepared = prepareTls(tls, next, contexts);
        if (!prepared.ok) return prepared;
        return {
          ok: true,
          commit() {
            app = createApp(next);
            prepared.commit();
            ({ tls } = prepared);
          },
        };
      },
    },
  };
}

/** The TLS of a plan: that of the plan before where both have it, so that sessions can be resumed. */
function prepareTls(
  before: ListenerTls | undefined,
  { tls: plan }: SidecarPlan,
  contexts: TlsContexts,
):
  | { readonly ok: true; readonly tls: ListenerTls | undefined; commit(): void }
  | { readonly ok: false; readonly message: string } {
  if (plan === undefined) return { ok: true, tls: undefined, commit() {} };
  if (before === undefined) {
    const made = createListenerTls(plan.server, contexts);
    return made.ok ? { ...made, commit() {} } : made;
  }
  const prepared = before.prepare(plan.server);
  return prepared.ok ? { ok: true, tls: before, commit: () => prepared.commit() } : prepared;
}

/** What the sidecar may ask of the tunnels and the captures. */
export function controlTunnels({ live, captures }: Gate): Pick<ControlPort, "tunnels" | "kill" | "captures"> {
  return {
    tunnels: (filter) => live.list(performance.now(), filter),
    kill: (filter) => live.kill(filter),
    captures: {
      start: (wanted) => captures.start(wanted, (visit) => live.visit(visit)),
      stop: (id) => captures.stop(id),
    },
  };
}

/** What the sidecar may ask of the upstreams. */
export function controlUpstreams(gate: Gate, pacs: Pick<PacFiles, "statuses">): UpstreamControl {
  return {
    list: () => [...listUpstreams(gate), ...listPacs(gate, pacs.statuses)],
    disable(upstream, member, disabled) {
      const pool = gate.pools.get(upstream);
      if (pool !== undefined) return pool.disable(member, disabled);
      const proxy = gate.pools.findProxy(upstream, member);
      return proxy?.members.every(({ name }) => proxy.disable(name, disabled)) === true;
    },
    choose(name, { client, user, host }) {
      const pool = gate.pools.get(name);
      const ip = parseIp(client);
      const target = toAsciiHost(host);
      if (pool === undefined || ip === undefined || !target.ok) return [];
      const { current } = gate.runtime;
      const read = user === undefined ? undefined : current.authenticator.names?.read(user);
      const named = read?.ok === true ? read : { user, parameters: undefined };
      const requester = { client: ip, user: named.user, parameters: named.parameters, runtime: current };
      const request = { requester, target: { host: target.host, port: 0 } };
      const tried = new Set<Member>();
      pool.passOverUnfit(requester, tried);
      return explainChoice(pool, { key: (by) => findAffinity(request, by), tried });
    },
  };
}

/** The upstreams of the snapshot in use, those of the environment last, with what is known of them, but for those that PAC files choose. */
export function listUpstreams({ runtime, pools, upstreams }: Gate): PoolOrSingle[] {
  const { upstreams: named, environment } = runtime.current;
  // One variable may be for both.
  const ofVariables = new Set([environment?.tunnel, environment?.forward].filter((hop) => hop !== undefined));
  return [...named.values(), ...ofVariables].map((upstream): PoolOrSingle => {
    if (upstream.kind === "pool") {
      const pool = pools.find(upstream);
      return describePool(pool, pool.now());
    }
    const { name, kind, endpoint } = upstream;
    return { name, kind, address: formatEndpoint(endpoint), ...upstreams.find(upstream).load };
  });
}

/** The upstreams that PAC files choose, with the proxies that each of them named. */
function listPacs({ pools, pacs }: Gate, statuses: readonly PacStatus[]): PacState[] {
  return statuses.map((status) => {
    const { name } = status;
    return { ...status, kind: "pac", counts: pacs.countsOf(name), members: describeProxies(pools, name) };
  });
}

/** What the sidecar may ask of the drain. */
export function controlDrain(drain: Drain, yieldAddress: () => void): DrainControl {
  return {
    begin(duration) {
      const parsed = duration === undefined ? undefined : parseDuration(duration);
      if (parsed?.ok === false) return { ok: false, reason: `${quoteValue(duration)} ${parsed.reason}.` };
      return { ok: true, state: drain.begin("POST /drain", parsed?.value) };
    },
    cancel: () => drain.cancel("DELETE /drain"),
    yieldAddress() {
      if (drain.phase !== "draining") return false;
      yieldAddress();
      return true;
    },
  };
}

/** Whether the default route leads anywhere. Where a PAC file chooses, it must be there: no request tells which proxy to look at. */
function isRouteOpen(gate: Gate): boolean | Promise<boolean> {
  const runtime = gate.runtime.current;
  const { fallback } = runtime.policy;
  if (fallback.kind === "deny" || !asksPac(runtime, fallback.via)) return isDefaultRouteOpen(runtime, gate);
  return fallback.via.every((name) => runtime.pacs?.has(name) !== true || gate.pacs.isThere(name));
}

interface ReadinessParts {
  readonly reloaded: boolean;
  readonly pacs: readonly PacStatus[];
  readonly use: Pick<UsageParts, "keeper" | "quotas">;
  readonly fleet: Pick<FleetParts, "status">;
  readonly ordered: readonly KeeperStatus[];
  /** What there is to know of lists. */
  readonly lists: readonly string[];
}

/** Ready to serve a new connection: bound, not about to leave, and with an upstream that answers where there is one. */
export async function readReadiness(
  gate: Gate,
  drain: Pick<Drain, "phase">,
  { reloaded, pacs, use, fleet, ordered, lists }: ReadinessParts,
): Promise<Readiness> {
  const isLeaving = (): boolean => drain.phase !== "serving";
  if (gate.listeners === undefined && !isLeaving()) return { ready: false, reason: "starting" };
  const open = isLeaving() || (await isRouteOpen(gate));
  if (isLeaving()) return { ready: false, reason: "draining" };
  const warnings = [
    ...(reloaded ? [] : ["The last reload failed. The configuration before it is in effect."]),
    ...findUsageWarnings(use),
    ...warnOfAcme(ordered),
    ...lists,
    ...(fleet.status?.warning === undefined ? [] : [fleet.status.warning]),
    ...pacs.flatMap(({ name, fault }) => (fault === undefined ? [] : `The PAC file of upstream ${name} ${fault}.`)),
  ];
  const warning = warnings.length === 0 ? undefined : warnings.join(" ");
  return { ...(open ? { ready: true } : { ready: false, reason: "no_way_out" }), ...(warning && { warning }) };
}
