import { parseAuthority } from "../address/endpoint.ts";
import type { Hop } from "../proxy/route/hop.ts";
import type { HealthPlan, MemberPlan, PoolPlan, Probe } from "../proxy/route/pool-plan.ts";
import type { HealthSettings } from "./health-schema.ts";
import { type MemberSettings, nameMember, type PoolSettings, readReference } from "./pool-schema.ts";
import { parseProbeUrl } from "./probe-url.ts";
import { readAccepted } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import type { UpstreamSettings } from "./upstream-schema.ts";

/** What the members of a pool are made of. */
export interface MemberMaker {
  /** The hop of a member with a URL of its own. `name` is `pool/member`. */
  hop(name: string, settings: UpstreamSettings, at: number): Hop;
  /** The upstream of that name. */
  upstream(name: string): Hop | PoolPlan;
}

/** Compiles a pool. The schema has accepted it. */
export function compilePool(name: string, settings: PoolSettings, make: MemberMaker): PoolPlan {
  const { balance, hash, sticky, health, eject, attempts } = settings;
  return {
    kind: "pool",
    name,
    members: settings.pool.map((member, at) => compileMember(name, member, at, make)),
    balance,
    hash,
    ...(sticky && { sticky: { by: sticky.by, forMs: readDuration(sticky.for) } }),
    ...(health && { health: compileHealth(health) }),
    eject: {
      failures: eject.failures,
      forMs: readDuration(eject.for),
      maxMs: readDuration(eject.max),
      statuses: new Set(eject.statuses),
    },
    attempts,
    waitMs: readDuration(settings.wait),
    slowStartMs: readDuration(settings.slowStart),
  };
}

function compileMember(pool: string, written: string | MemberSettings, at: number, make: MemberMaker): MemberPlan {
  const name = nameMember(written);
  if (name === undefined) throw new Error(`The member ${at} of ${pool} is unchecked`);
  const { weight = 1, maxConnections = 0, backup = false } = typeof written === "string" ? {} : written;
  return { name, way: compileWay(pool, name, written, at, make), weight, maxConnections, backup };
}

function compileWay(
  pool: string,
  name: string,
  written: string | MemberSettings,
  at: number,
  make: MemberMaker,
): MemberPlan["way"] {
  const reference = readReference(written);
  if (reference === "direct") return reference;
  if (reference !== undefined) return make.upstream(reference);
  const settings = typeof written === "string" ? { url: written } : written;
  if (settings.url === undefined) throw new Error(`The member ${at} of ${pool} is unchecked`);
  return make.hop(`${pool}/${name}`, { ...settings, url: settings.url }, at);
}

function compileHealth({ probe, every, timeout, rise, fall, whenIdle }: HealthSettings): HealthPlan {
  return {
    probe: compileProbe(probe),
    everyMs: readDuration(every),
    timeoutMs: readDuration(timeout),
    rise,
    fall,
    whenIdle,
  };
}

/** Statuses that are good answers unless others are named: 200 to 399. */
const goodStatuses: ReadonlySet<number> = new Set(Array.from({ length: 200 }, (_, at) => 200 + at));

function compileProbe(probe: HealthSettings["probe"]): Probe {
  if (probe === "tcp") return { kind: "tcp" };
  if (probe.get !== undefined) {
    const { target, path } = readAccepted(parseProbeUrl(probe.get));
    return { kind: "get", target, path, statuses: probe.status === undefined ? goodStatuses : new Set(probe.status) };
  }
  const parsed = parseAuthority(probe.connect ?? "");
  if (!parsed.ok) throw new Error("The target of a check is unchecked");
  return { kind: "connect", target: parsed.endpoint };
}
