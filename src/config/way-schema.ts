import { either, list, text } from "./fields.ts";
import { type Problem, quoteNamed } from "./problem.ts";
import { suggest } from "./suggest.ts";
import type { Via } from "../proxy/policy/decision.ts";

/** A way: `"direct"`, `"environment"`, the name of an upstream, or names in the order of a chain. */
export type Way = string | readonly string[];

const upstreamName = () => text("the name of an upstream");

/** A way that a file can spell; functions apart. */
export const wayForms = [upstreamName(), list(upstreamName(), "a list of names of upstreams")] as const;

export const defaultSchema = either('"direct", "deny", "ask", the name of an upstream or a list of names', wayForms)
  .describe(
    'What holds when no rule matches: `"direct"`, `"deny"`, `"ask"` (an operator, as rules with `ask` do; what is approved goes directly, or by `upstream`), `"environment"`, the name of an upstream, or a list of names (a chain). Default: `"direct"`, or `upstream` where that is set.',
  )
  .optional();

/** The chain that a way means. A function may answer anything: the route refuses what names no upstream. */
export function compileWay(way: Way): Via {
  if (typeof way === "string") return way === "direct" ? [] : [way];
  return way.length === 1 && way[0] === "direct" ? [] : way;
}

/** Finds conflicts of `default`. `upstreams` are the names of all upstreams. */
export function findDefaultConflicts(
  way: unknown,
  upstreams: readonly string[] | undefined,
  hasUpstream: boolean,
): Problem[] {
  const message = 'Found "upstream" as well, which sets the default way. Leave one of them out.';
  return [
    ...(way !== undefined && way !== "ask" && hasUpstream ? [{ path: [], message }] : []),
    ...(way === "deny" || way === "ask"
      ? []
      : findUnknownWays(way, upstreams, ['"direct"', '"deny"', '"ask"', '"environment"'])),
  ];
}

/**
 * Names in a way that are no upstreams, and words that cannot be part of a chain.
 * `words` are what else may stand there. Parts that are malformed are passed over.
 */
export function findUnknownWays(
  way: unknown,
  upstreams: readonly string[] | undefined,
  words: readonly string[] = ['"direct"', '"environment"'],
): Problem[] {
  if (upstreams === undefined) return [];
  const chain: readonly unknown[] = Array.isArray(way) ? way : [];
  const entries = typeof way === "string" ? [{ name: way, path: [] }] : chain.map((name, at) => ({ name, path: [at] }));
  return entries.flatMap(({ name, path }) => {
    if (typeof name !== "string" || upstreams.includes(name)) return [];
    if (name === "direct" || name === "environment")
      return chain.length > 1 ? { path, message: `"${name}" cannot be part of a chain. Write it alone.` } : [];
    if (name === "deny")
      return { path, message: '"deny" is not a way. Write "deny: true" in a rule, or "deny" alone as default.' };
    return { path, message: explainUnknown(name, upstreams, words) };
  });
}

/** Upstreams that a message lists at most. */
const MAX_LISTED = 8;

function explainUnknown(name: string, upstreams: readonly string[], words: readonly string[]): string {
  if (name.includes("://") || name.includes("@"))
    return 'Found a URL. Give it a name in "upstreams", and write that name here.';
  // The message lists only names that the schema accepts: any other may be a URL with a password.
  const names = upstreams.filter((each) => /^[\w.-]{1,64}$/.test(each)).map((each) => `"${each}"`);
  const listed =
    names.length === 0 ? "" : ` (${names.slice(0, MAX_LISTED).join(", ")}${names.length > MAX_LISTED ? ", …" : ""})`;
  const advice = suggest(name, upstreams) || ` Write ${words.join(", ")} or the name of an upstream${listed}.`;
  return `There is no ${quoteNamed("upstream", name)}.${advice}`;
}
