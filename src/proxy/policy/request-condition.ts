/** What rules can look at in a forwarded request. */
export interface RequestFacts {
  readonly method: string;
  /** Without the query, as `canonicalisePath` gives it; undefined when readers could differ about it. */
  readonly path: string | undefined;
}

/** A rule's condition on forwarded requests, compiled. */
export interface RequestCondition {
  readonly methods: ReadonlySet<string> | undefined;
  /** Patterns, each split at its stars. */
  readonly paths: readonly (readonly string[])[] | undefined;
  /** The rule denies, or its webhook may: it also matches what cannot be seen, and any case. */
  readonly denies: boolean;
}

/** Compiles the condition of a rule; undefined for none. */
export function compileRequestCondition(
  methods: ReadonlySet<string> | undefined,
  paths: readonly string[] | undefined,
  denies: boolean,
): RequestCondition | undefined {
  if (methods === undefined && paths === undefined) return undefined;
  return { methods, paths: paths?.map((path) => (denies ? path.toLowerCase() : path).split("*")), denies };
}

/**
 * Whether a request meets a condition. Without `facts` nothing can be seen of it:
 * it asks for a tunnel, or to switch protocols. A rule that denies matches then,
 * and a rule that allows does not. `any` meets every condition.
 */
export function meetsRequest(
  { methods, paths, denies }: RequestCondition,
  facts: RequestFacts | "any" | undefined,
): boolean {
  if (facts === "any") return true;
  if (facts === undefined) return denies;
  const { method, path } = facts;
  if (methods !== undefined && !methods.has(denies ? method.toUpperCase() : method)) return false;
  if (paths === undefined) return true;
  if (path === undefined) return denies;
  const matches = (read: string): boolean => paths.some((parts) => matchesParts(read, parts));
  const compared = denies ? path.toLowerCase() : path;
  if (!compared.includes(";")) return matches(compared);
  // Some servers take off what follows a semicolon in a segment: a rule has to mean both readings.
  const cut = compared.replaceAll(/;[^/]*/g, "");
  if (cut.includes("//")) return denies;
  return denies ? matches(compared) || matches(cut) : matches(compared) && matches(cut);
}

/** A star stands for any characters. The time is in proportion to the length of the path and the number of parts. */
function matchesParts(path: string, parts: readonly string[]): boolean {
  const first = parts[0] as string;
  if (parts.length === 1) return path === first;
  const last = parts.at(-1) as string;
  if (!path.startsWith(first) || !path.endsWith(last)) return false;
  let at = first.length;
  for (let index = 1; index < parts.length - 1; index++) {
    const part = parts[index] as string;
    const found = path.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= path.length - last.length;
}

/**
 * What servers read in different ways, so that a path would reach something else
 * than the rules judged: encoded slashes, backslashes and control characters, dots
 * in overlong UTF-8, percent signs that are encoded themselves, empty segments,
 * and dot segments, also with the parameters that some servers take off.
 */
const ambiguous =
  /%(?:2F|5C|[01][0-9A-F]|7F|C[01]|E0%[89]|F0%8|25(?:25)*(?:2[EF]|5C|00))|\\|\/\/|\/\.{1,2}(?:$|\/|;|%3B)/i;

/** Octets that mean the same encoded, to all servers that matter: not `%`, `/`, `\\`, `?` and `#`. */
const plain = /^[!"$&-.0->@-[\]-~]$/;

/**
 * Gives a path without its query in one spelling: ASCII as it is where nothing
 * depends on its encoding, everything past ASCII encoded. Undefined when servers
 * could read another path.
 */
export function canonicalisePath(pathAndQuery: string): string | undefined {
  const [path = ""] = pathAndQuery.split("?", 1);
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return undefined;
  const canonical = path.replaceAll(/%[0-9A-Fa-f]{2}|[^!-~]/g, (octet) => {
    const code = octet.length === 1 ? octet.charCodeAt(0) : Number.parseInt(octet.slice(1), 16);
    const character = String.fromCharCode(code);
    return plain.test(character) ? character : `%${code.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return ambiguous.test(canonical) ? undefined : canonical;
}
