import type { PoolPlan } from "../proxy/route/pool-plan.ts";
import type { Hop } from "../proxy/route/route.ts";
import type { Runtime } from "../proxy/runtime.ts";
import { compileForward } from "./forward.ts";
import { compileUpstreams } from "./compile-upstream.ts";
import { type FileGroup, followed } from "./follow-files.ts";
import { listPemFiles, type Materials } from "./materials.ts";
import type { Config } from "./schema.ts";

/** Gives a runtime with new certificates and everything else unchanged. */
export type RenewTrust = (runtime: Runtime) => Runtime;

/** The certificates for upstreams and origins, to be read again when their files change; undefined when there are none. */
export function followTrustFiles(config: Config, materials: Materials): FileGroup<RenewTrust> | undefined {
  const names = listPemFiles(config, ([section]) => section === "upstreams" || section === "forward");
  if (names.length === 0) return undefined;
  return {
    files: followed(names, materials),
    recompile(texts) {
      const renewed = { ...materials, files: new Map([...materials.files, ...texts]) };
      const { upstreams, problems } = compileUpstreams(config, renewed);
      const { forward, problems: more } = compileForward(config.forward, renewed);
      if (problems.length > 0 || more.length > 0) return { ok: false, problems: [...problems, ...more] };
      return {
        ok: true,
        value: (runtime) => ({
          ...runtime,
          upstreams: renewUpstreams(runtime.upstreams, upstreams),
          // Connections may be shared only under one and the same object.
          forward: isSame(forward.ca, runtime.forward.ca)
            ? runtime.forward
            : { ...runtime.forward, ca: forward.ca ?? [] },
        }),
      };
    },
  };
}

type Upstream = Hop | PoolPlan;

/** An upstream with unchanged certificates stays the same object, which its logins and connections belong to. */
function renewUpstreams(
  before: ReadonlyMap<string, Upstream>,
  now: ReadonlyMap<string, Upstream>,
): ReadonlyMap<string, Upstream> {
  // Pools name others, which are the same object everywhere.
  const renewed = new Map<Upstream, Upstream>();
  const renew = (old: Upstream, next: Upstream | undefined): Upstream => {
    const known = renewed.get(old) ?? (old.kind === "pool" ? renewPool(old, next, renew) : renewHop(old, next));
    renewed.set(old, known);
    return known;
  };
  return new Map([...before].map(([name, old]) => [name, renew(old, now.get(name))]));
}

function renewHop(hop: Hop, now: Upstream | undefined): Hop {
  const tls = now?.kind === "pool" ? undefined : now?.tls;
  return tls === undefined || isSame(tls, hop.tls) ? hop : { ...hop, tls };
}

function renewPool(
  pool: PoolPlan,
  now: Upstream | undefined,
  renew: (old: Upstream, next: Upstream | undefined) => Upstream,
): PoolPlan {
  const members = pool.members.map((member, at) => {
    const next = now?.kind === "pool" ? now.members[at]?.way : undefined;
    if (member.way === "direct" || next === "direct") return member;
    const way = renew(member.way, next);
    return way === member.way ? member : { ...member, way };
  });
  return members.every((member, at) => member === pool.members[at]) ? pool : { ...pool, members };
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
