import * as z from "zod";

import { either, unquoted } from "./fields.ts";
import { pacSchema } from "./pac-schema.ts";
import { checked, MALFORMED, type Parts, type PartsOf } from "./parts.ts";
import { findPoolConflicts, type PoolSettings, poolSettings, readReference } from "./pool-schema.ts";
import { type Problem, quoteNamed, quoteValue } from "./problem.ts";
import { pemTexts, type References, secretTexts } from "./references.ts";
import { suggest } from "./suggest.ts";
import { findUpstreamConflicts, upstreamSettings, upstreamUrl } from "./upstream-schema.ts";

/** Names with a meaning of their own; `upstream` is the one that the setting of that name makes. */
const reservedNames = ["direct", "deny", "environment", "upstream"];

function findNameConflicts(names: readonly string[]): Problem[] {
  return names.flatMap((name) => {
    const message = reservedNames.includes(name)
      ? `The name ${quoteValue(name)} has a meaning of its own. Choose another one.`
      : "The name of the upstream has other characters. Write up to 64 letters, digits, dots, hyphens or underscores.";
    const isFree = !reservedNames.includes(name) && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name);
    return isFree ? [] : [{ path: [name], message }];
  });
}

const upstreamForms = [
  upstreamUrl(),
  pacSchema,
  checked(poolSettings, findPoolConflicts),
  checked(upstreamSettings, findUpstreamConflicts),
] as const;

/** The setting that tells a form from the last one, by its index. */
const upstreamKeys = [undefined, "pac", "pool"] as const;

const upstreamMap = z.record(
  z.string(),
  either("a URL, or a map with a url, a pool or a pac", upstreamForms, unquoted, upstreamKeys),
  { error: 'Write a map from names to URLs, as in { corp: "http://proxy.example:3128" }.' },
);

type Upstreams = z.output<typeof upstreamMap>;

/** An upstream may have the name of a setting. */
export const upstreamsReferences: References = {
  texts: { ...secretTexts, ...pemTexts, pac: "pac" },
  isNamed: true,
};

export const upstreamsSchema = checked(upstreamMap, (upstreams) => [
  ...findNameConflicts(Object.keys(upstreams)),
  ...findReferenceConflicts(upstreams),
  ...findNestingConflicts(upstreams),
])
  .describe(
    "Upstream proxies by name, for `via` and `default`. Each is a URL or a map; a map with `pool` puts several behind one name, and with `pac` a PAC file chooses. `direct`, `deny`, `environment` and `upstream` are not free to be names.",
  )
  .default({});

/** Names of upstreams that a pool has as members, and where. */
function listReferences(upstream: Parts<Upstreams[string]> | undefined): { name: string; at: number }[] {
  if (!isPool(upstream) || !Array.isArray(upstream.pool)) return [];
  return upstream.pool.flatMap((member, at) => {
    const name = readReference(member);
    return name === undefined || name === "direct" ? [] : [{ name, at }];
  });
}

function isPool(upstream: Parts<Upstreams[string]> | undefined): upstream is PartsOf<PoolSettings> {
  return typeof upstream === "object" && upstream !== null && "pool" in upstream;
}

/** Members that name no upstream, pools that are a member of themselves, and pools that cannot be a member. */
function findReferenceConflicts(upstreams: PartsOf<Upstreams>): Problem[] {
  const names = Object.keys(upstreams);
  return names.flatMap((pool) =>
    listReferences(upstreams[pool]).flatMap(({ name, at }) => {
      const message = explainReference(pool, name, upstreams);
      return message === undefined ? [] : [{ path: [pool, "pool", at], message }];
    }),
  );
}

function explainReference(pool: string, name: string, upstreams: PartsOf<Upstreams>): string | undefined {
  const known = Object.keys(upstreams);
  const named = known.includes(name) ? upstreams[name] : undefined;
  if (named === undefined) {
    return `There is no ${quoteNamed("upstream", name)}.${suggest(name, known) || ' Write a URL, the name of another upstream, or "direct".'}`;
  }
  if (named === MALFORMED) return undefined;
  if (typeof named === "object" && "pac" in named)
    return `A PAC file chooses the upstream ${quoteValue(name)}: it cannot be a member. Write its proxies as members.`;
  if (name === pool || reaches(name, pool, upstreams, new Set()))
    return `The pool ${quoteValue(pool)} would be a member of itself. Leave it out.`;
  return isPool(named) && typeof named.balance === "function"
    ? `A function chooses in the pool ${quoteValue(name)}: it cannot be a member. Choose its balance by name.`
    : undefined;
}

/** Ways from a pool with pools as members to the members of these. A request may have to look at each. */
const MAX_WAYS = 10_000;

/** Pools that lead to too many members, of which no member does. */
function findNestingConflicts(upstreams: PartsOf<Upstreams>): Problem[] {
  const counts = new Map<string, number>();
  const isTooMany = (name: string): boolean => countWays(name, upstreams, counts) > MAX_WAYS;
  return Object.keys(upstreams).flatMap((pool) => {
    const inner = listReferences(upstreams[pool]).filter(({ name }) => isPool(upstreams[name]));
    const message = `The pools in ${quoteValue(pool)} lead to more than ${MAX_WAYS} members, each way counted. Nest fewer.`;
    return inner.length > 0 && isTooMany(pool) && !inner.some(({ name }) => isTooMany(name))
      ? [{ path: [pool, "pool"], message }]
      : [];
  });
}

function countWays(name: string, upstreams: PartsOf<Upstreams>, counts: Map<string, number>): number {
  const known = counts.get(name);
  if (known !== undefined) return known;
  // For a circle, which is refused elsewhere.
  counts.set(name, 1);
  const upstream = Object.hasOwn(upstreams, name) ? upstreams[name] : undefined;
  const inner = listReferences(upstream);
  const others = isPool(upstream) && Array.isArray(upstream.pool) ? upstream.pool.length - inner.length : 1;
  const ways = inner.reduce((sum, member) => sum + countWays(member.name, upstreams, counts), others);
  counts.set(name, ways);
  return ways;
}

/** Whether the members of `from` lead to `to`. */
function reaches(from: string, to: string, upstreams: PartsOf<Upstreams>, seen: Set<string>): boolean {
  if (seen.has(from)) return false;
  seen.add(from);
  return (
    Object.hasOwn(upstreams, from) &&
    listReferences(upstreams[from]).some(({ name }) => name === to || reaches(name, to, upstreams, seen))
  );
}
