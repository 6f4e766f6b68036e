import { type Problem, quoteNamed } from "./problem.ts";
import { readList, readRecord } from "./raw.ts";
import { suggest } from "./suggest.ts";

type Raw = Readonly<Record<string, unknown>>;

/** Upstreams that a message lists at most. */
const MAX_LISTED = 8;

/** What is wrong with the way that holds when no rule matches. */
export function findDefaultConflicts(config: Raw): Problem[] {
  const problems: Problem[] = [];
  if (config["default"] !== undefined && config["upstream"] !== undefined)
    problems.push({
      path: ["default"],
      message: 'Found "upstream" as well, which sets the default way. Leave one of them out.',
    });
  if (config["default"] !== "deny") problems.push(...findUnknownWays(config, config["default"], ["default"]));
  return problems;
}

/** Names in a way that are no upstreams, and words that cannot be part of a chain. */
export function findUnknownWays(config: Raw, way: unknown, path: PropertyKey[]): Problem[] {
  const known = Object.keys(readRecord(config["upstreams"]));
  if (config["upstream"] !== undefined && config["upstream"] !== "environment") known.push("upstream");
  const chain = readList(way);
  const entries =
    typeof way === "string" ? [{ name: way, path }] : chain.map((name, at) => ({ name, path: [...path, at] }));
  return entries.flatMap(({ name, path: where }) => {
    if (typeof name !== "string" || name === "" || known.includes(name)) return [];
    if (name === "direct" || name === "environment")
      return chain.length > 1 ? [{ path: where, message: `"${name}" cannot be part of a chain. Write it alone.` }] : [];
    if (name === "deny")
      return [
        { path: where, message: '"deny" is not a way. Write "deny: true" in a rule, or "deny" alone as default.' },
      ];
    return [{ path: where, message: explainUnknown(name, known, path[0] === "default") }];
  });
}

function explainUnknown(name: string, known: readonly string[], isDefault: boolean): string {
  if (name.includes("://") || name.includes("@"))
    return 'Found a URL. Give it a name in "upstreams", and write that name here.';
  const words = isDefault ? '"direct", "deny", "environment"' : '"direct", "environment"';
  // Names are told that the schema accepts: any other may be a URL with a password.
  const names = known.filter((each) => /^[\w.-]{1,64}$/.test(each)).map((each) => `"${each}"`);
  const listed =
    names.length === 0 ? "" : ` (${names.slice(0, MAX_LISTED).join(", ")}${names.length > MAX_LISTED ? ", …" : ""})`;
  const hint = suggest(name, known);
  return `There is no ${quoteNamed("upstream", name)}.${hint === "" ? ` Write ${words} or the name of an upstream${listed}.` : hint}`;
}
