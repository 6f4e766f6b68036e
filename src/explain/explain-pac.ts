import { clientKey } from "../address/client-key.ts";
import type { Endpoint } from "../address/endpoint.ts";
import type { Ip } from "../address/ip.ts";
import type { CompiledConfig } from "../config/compile.ts";
import type { Resolver } from "../net/dns/resolver.ts";
import { fetchText } from "../net/http/fetch-text.ts";
import { PacFiles } from "../pac/pac-files.ts";
import type { Failure } from "../proxy/failure.ts";
import { asksPac, chooseWays, type ChosenWays } from "../proxy/pac/choose-ways.ts";
import type { PacWay } from "../proxy/pac/pac-plan.ts";
import { PacRouter, type PacRouterOptions } from "../proxy/pac/pac-router.ts";
import type { Grant } from "../proxy/policy/decision.ts";

/** What the PAC files of a route say, for people. */
export interface ExplainedPac {
  readonly ways?: ChosenWays;
  readonly failure?: Failure;
  /** Names and values of lines. */
  readonly told: readonly (readonly [name: string, value: string])[];
}

/** Finds the file of an upstream. */
export type FindPac = PacRouterOptions["find"];

/** Asks the PAC files of a route, as the proxy does for a tunnel. Without `find` it reads them, and fetches those that are elsewhere. */
export async function explainPac(
  { runtime, pacs }: CompiledConfig,
  grant: Grant,
  asked: { readonly target: Endpoint; readonly client: Ip },
  resolver: Resolver,
  find?: FindPac,
): Promise<ExplainedPac> {
  if (!asksPac(runtime, grant.decision.via)) return { told: [] };
  const told: [string, string][] = [];
  const files = new PacFiles({
    tell: (message) => told.push(["note", message]),
    fetch: fetchText,
    now: Date.now,
    random: Math.random,
  });
  if (find === undefined) (await files.prepare(pacs.filter(({ name }) => grant.decision.via.includes(name)))).commit();
  const router = new PacRouter({
    resolver,
    find: find ?? ((name) => files.find(name)),
    report: (name, why) => told.push(["note", `The PAC file of upstream ${name} ${why}.`]),
    nameClient: (client) => clientKey(client, runtime.limits.clientPrefix),
  });
  try {
    const chosen = await chooseWays({ runtime, client: asked.client }, grant, asked, { router, client: undefined });
    if (!chosen.ok) return { failure: chosen.failure, told };
    const { ways } = chosen.value;
    for (const [name, way] of ways) told.push(["pac", `${name} chose ${describeWay(way)}`]);
    return { ways, told };
  } finally {
    files.close();
  }
}

function describeWay(way: PacWay): string {
  if (way === "direct") return way;
  const [only] = way.members;
  const isAlone = way.members.length === 1 && only?.way !== "direct";
  return isAlone ? way.name.slice(way.name.indexOf("/") + 1) : way.members.map(({ name }) => name).join(", then ");
}
