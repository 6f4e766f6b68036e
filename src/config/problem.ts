/** One thing that is wrong with a configuration. */
export interface Problem {
  /** Where in the file, from the top: `["rules", 1, "to", 0]`. Empty for the whole file. */
  readonly path: readonly PropertyKey[];
  /** Complete sentences: what was found, what is wanted. */
  readonly message: string;
  /** Where the value came from when not from the file: `--listen`, `PENSTOCK_LISTEN`. */
  readonly origin?: string;
}

/** A value, or everything that stands in its way. */
export type Checked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly Problem[] };

/** One line for a person: `rules[1].to[0]: "a:0" has no …`. */
export function formatProblem(problem: Problem): string {
  const where = formatPath(problem.path);
  const origin = problem.origin ? (where === "" ? problem.origin : `${where} (from ${problem.origin})`) : where;
  return origin === "" ? problem.message : `${origin}: ${problem.message}`;
}

/** `rules[1].to[0]`, as one would write it in JavaScript. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    const name = String(key);
    if (typeof key === "number") text += `[${name}]`;
    else if (/^[A-Za-z_$][\w$]*$/.test(name)) text += text === "" ? name : `.${name}`;
    else text += `[${JSON.stringify(name)}]`;
  }
  return text;
}

/** Longest value that a message repeats; the rest of a longer one says nothing more. */
const MAX_QUOTE = 80;

/**
 * A value as a message repeats it: JSON for what is short, a kind for what is
 * not. The password of a URL is not repeated.
 */
export function quoteValue(value: unknown): string {
  switch (typeof value) {
    case "undefined":
      return "nothing";
    case "function":
      return "a function";
    case "string":
      return quoteText(value);
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? "a list" : "a map";
    default:
      return String(value);
  }
}

/** Takes the userinfo out of whatever in `text` looks like a URL. */
export function hideUserinfo(text: string): string {
  return text.replace(/(\/\/)[^/?#]*@/g, "$1[redacted]@");
}

function quoteText(text: string): string {
  const shown = hideUserinfo(text);
  return JSON.stringify(shown.length > MAX_QUOTE ? `${shown.slice(0, MAX_QUOTE)}…` : shown);
}
