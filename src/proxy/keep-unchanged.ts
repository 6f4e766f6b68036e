import { isDeepStrictEqual } from "node:util";

import { listMemberHops, mapHops } from "./route/map-hops.ts";
import type { Hop } from "./route/hop.ts";
import type { EnvironmentRoutes } from "./route/route.ts";
import type { Runtime } from "./runtime.ts";

/**
 * Gives a new snapshot the objects of the one before wherever they say the same.
 * Kept connections belong to the objects of their upstreams and of the settings
 * for forwarding, so those that are unchanged are used again after a reload.
 */
export function keepUnchanged(before: Runtime, next: Runtime): Runtime {
  const known = Map.groupBy(listHops(before), ({ name }) => name);
  const keep = (hop: Hop): Hop => known.get(hop.name)?.find((old) => isSameHop(old, hop)) ?? hop;
  return {
    ...next,
    upstreams: mapHops(next.upstreams, keep),
    ...(next.environment && { environment: keepRoutes(next.environment, keep) }),
    forward: isDeepStrictEqual(before.forward, next.forward) ? before.forward : next.forward,
  };
}

/** Every upstream that a snapshot can lead to. */
export function* listHops({ upstreams, environment }: Pick<Runtime, "upstreams" | "environment">): Iterable<Hop> {
  yield* listMemberHops(upstreams.values());
  for (const hop of [environment?.tunnel, environment?.forward]) if (hop !== undefined) yield hop;
}

function keepRoutes(routes: EnvironmentRoutes, keep: (hop: Hop) => Hop): EnvironmentRoutes {
  const { tunnel, forward } = routes;
  return { ...routes, ...(tunnel && { tunnel: keep(tunnel) }), ...(forward && { forward: keep(forward) }) };
}

/** Secrets compare as equal for `isDeepStrictEqual`: their texts are private. */
function isSameHop({ credentials: old, ...before }: Hop, { credentials: now, ...next }: Hop): boolean {
  if (writeUser(old) !== writeUser(now) || old?.password.reveal() !== now?.password.reveal()) return false;
  return isDeepStrictEqual(before, next);
}

/** A user name as the configuration has it. */
function writeUser(credentials: Hop["credentials"]): string | undefined {
  const user = credentials?.user;
  return typeof user === "object" ? `template ${user.source}` : user && `text ${user}`;
}
