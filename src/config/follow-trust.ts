import type { PoolPlan } from "../proxy/route/pool-plan.ts";
import { listMemberHops, mapHops } from "../proxy/route/map-hops.ts";
import type { Hop } from "../proxy/route/hop.ts";
import type { Runtime } from "../proxy/runtime.ts";
import { compileForward, forwardReferences } from "./forward.ts";
import type { PacSource } from "../pac/followed-pac.ts";
import type { PacPlan } from "../proxy/pac/pac-plan.ts";
import { compilePacs } from "./compile-pac.ts";
import { compileUpstreams } from "./compile-upstream.ts";
import { type FileGroup, followed } from "./follow-files.ts";
import type { Materials } from "./materials.ts";
import { listPemFiles } from "./references.ts";
import type { Config } from "./schema.ts";
import { upstreamsReferences } from "./upstreams-schema.ts";

/** New certificates. */
export interface RenewTrust {
  /** Gives a runtime with them, and everything else unchanged. */
  readonly runtime: (runtime: Runtime) => Runtime;
  /** PAC files of upstreams, with the authorities for their URLs. */
  readonly pacs: readonly PacSource[];
}

/** The certificates for upstreams and origins, to be read again when their files change; undefined when there are none. */
export function followTrustFiles(config: Config, materials: Materials): FileGroup<RenewTrust> | undefined {
  const names = [
    ...new Set([
      ...listPemFiles(config.upstreams, upstreamsReferences),
      ...listPemFiles(config.forward, forwardReferences),
    ]),
  ];
  if (names.length === 0) return undefined;
  return {
    files: followed(names, materials),
    recompile(texts) {
      const renewed = { ...materials, files: new Map([...materials.files, ...texts]) };
      const { upstreams, problems } = compileUpstreams(config, renewed);
      const { forward, problems: more } = compileForward(config.forward, renewed);
      const { pacs, sources, problems: faults } = compilePacs(config, renewed);
      const all = [...problems, ...more, ...faults];
      if (all.length > 0) return { ok: false, problems: all };
      return {
        ok: true,
        value: {
          runtime: (runtime) => ({
            ...runtime,
            upstreams: renewUpstreams(runtime.upstreams, upstreams),
            ...(runtime.pacs && { pacs: renewPacs(runtime.pacs, pacs) }),
            // Connections may be shared only under one and the same object.
            forward: isSame(forward.ca, runtime.forward.ca)
              ? runtime.forward
              : { ...runtime.forward, ca: forward.ca ?? [] },
          }),
          pacs: sources,
        },
      };
    },
  };
}

type Upstreams = ReadonlyMap<string, Hop | PoolPlan>;

/** An upstream with unchanged certificates stays the same object, which its logins and connections belong to. */
function renewUpstreams(before: Upstreams, now: Upstreams): Upstreams {
  const renewed = new Map(Iterator.from(listMemberHops(now.values())).map(({ name, tls }) => [name, tls]));
  return mapHops(before, (hop) => {
    const tls = renewed.get(hop.name);
    return tls === undefined || isSame(tls, hop.tls) ? hop : { ...hop, tls };
  });
}

type Pacs = ReadonlyMap<string, PacPlan>;

/** One with unchanged authorities stays the same object, which what its file answered belongs to. */
function renewPacs(before: Pacs, now: Pacs): Pacs {
  return new Map(
    [...before].map(([name, plan]) => {
      const ca = now.get(name)?.ca;
      return [name, ca === undefined || isSame(ca, plan.ca) ? plan : { ...plan, ca }];
    }),
  );
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
