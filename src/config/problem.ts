/** One error in a configuration, or a warning about it. */
export interface Problem {
  /** Where in the file, from the top: `["rules", 1, "to", 0]`. Empty for the whole file. */
  readonly path: readonly PropertyKey[];
  /** Complete sentences: what was found, what is wanted. Never a secret. */
  readonly message: string;
  /** Where the value came from when not from the file: `--listen`, `PENSTOCK_LISTEN`. */
  readonly origin?: string;
  /** Where in the file, for editors: `proxy.config.yaml:3:5`. */
  readonly place?: string;
}

/** A value, or everything that is wrong with it. */
export type Checked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly Problem[] };

/** The meaning of a text; or why it has none, as the rest of a sentence that begins with the quoted text. */
export type Read<T> = { readonly ok: true; readonly value: T } | Unread;

interface Unread {
  readonly ok: false;
  readonly reason: string;
}

export function refuse(reason: string): Unread {
  return { ok: false, reason };
}

/**
 * The meaning of a text that the schema has accepted.
 * @throws when it has none: the schema was not asked.
 */
export function readAccepted<T>(read: Read<T>): T {
  if (!read.ok) throw new Error(`A value that the schema should have refused ${read.reason}`);
  return read.value;
}

/** One line for a person: `proxy.config.json:4:9: rules[1].to[0]: "a:0" has no …`. */
export function formatProblem({ path, message, origin, place }: Problem): string {
  const where = formatPath(path);
  const setting = origin === undefined ? where : where === "" ? origin : `${where} (from ${origin})`;
  return [place, setting, message].filter((part) => part !== undefined && part !== "").join(": ");
}

/** What stands for a name that may be a secret. */
const HIDDEN_NAME = '"…"';

/** Names of settings below `users`. Others may be users and passwords, written as a map. */
const userSettings: ReadonlySet<unknown> = new Set(
  "name password env file limits connections rate bandwidth up down bytes day month burst url timeout cache headers ca jwks issuer audience claim algorithms claims leeway refresh allowHttp".split(
    " ",
  ),
);

/** `rules[1].to[0]`, as one would write it in JavaScript. A name that may hold a secret is left out. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const [at, key] of path.entries()) {
    const name = String(key);
    if (typeof key === "number") text += `[${name}]`;
    else if (at > 0 && path[0] === "users" && !userSettings.has(key)) text += '["…"]';
    else if (/^[A-Za-z_$][\w$]{0,63}$/.test(name)) text += text === "" ? name : `.${name}`;
    else text += `[${quoteName(name)}]`;
  }
  return text;
}

/** Names in a path that `formatPath` shows. */
export function shownNames(path: readonly PropertyKey[]): ReadonlySet<string> {
  const names = path.filter(
    (key, at) => typeof key === "string" && (at === 0 || path[0] !== "users" || userSettings.has(key)),
  );
  return new Set(names.map(String).filter((name) => quoteName(name) !== HIDDEN_NAME));
}

/*
 * What messages repeat of values. Messages go to journals and build logs, and any
 * text of a configuration may be a password in the wrong place. So messages repeat
 * only a text in the form of a word, an address, a path or a URL without
 * credentials, and describe any other.
 */

/** Longest text that a message repeats. */
const MAX_QUOTE = 60;
const MAX_PATH = 255;

/** Letters, digits and the signs of paths, patterns, numbers and sentences, but none that separates a name from a password. */
const words = /^[\p{L}\p{N} ._*/,<>()[\]{}|^~!+\\-]*$/u;
/** A path with folders, which may be longer. */
const longPath = /^[\w./ -]*\/[\w. -]*$/;
/** `host:ports`, where only digits can follow the colon. */
const hostAndPorts = /^[\w.*-]*:(?:\d[\d,-]*|\*)?$/;
/** IPv6: an address, a range, or with brackets and ports. */
const ipv6 = /^\[?[\da-f]{0,4}:[\da-f:.]*:[\da-f:.]*(?:%\w+)?(?:\/\d*)?(?:\](?::[\d,*-]*)?)?$/i;
/** A URL without userinfo, path and query. */
const plainUrl = /^[a-z][a-z\d+.-]*:\/\/(?:[\w.*-]*|\[[\da-f:.]*\])(?::\d*)?\/?$/i;

/** A value as a message repeats it: JSON for what is short and harmless, a kind for everything else. */
export function quoteValue(value: unknown): string {
  switch (typeof value) {
    case "string":
      return canQuote(value) ? JSON.stringify(value) : describeKind(value);
    case "number":
    case "boolean":
      return String(value);
    default:
      return describeKind(value);
  }
}

/** A value as a message begins with it: `"x"`, `A text`. */
export function quoteSubject(value: unknown): string {
  const quoted = quoteValue(value);
  return quoted.charAt(0).toUpperCase() + quoted.slice(1);
}

/** A sentence of a subject and a reason, as parsers give one: `The URL has no port.` */
export function writeSentence(subject: string, reason: string): string {
  return `${subject.charAt(0).toUpperCase()}${subject.slice(1)} ${reason}${reason.endsWith("?") ? "" : "."}`;
}

/** What kind of value it is, for places where it may be a secret: `a text`, `a list`. */
export function describeKind(value: unknown): string {
  switch (typeof value) {
    case "undefined":
      return "nothing";
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? "a list" : "a map";
    case "string":
      return value === "" ? "an empty text" : "a text";
    default:
      return `a ${typeof value}`;
  }
}

/** `user "ann"`, or `user of that name` where the name may be more than one. */
export function quoteNamed(what: string, name: string): string {
  return `${what} ${canQuote(name) ? JSON.stringify(name) : "of that name"}`;
}

/** A name of a setting, in quotes; `"…"` when it may hold a secret. */
export function quoteName(name: string): string {
  return /^[\w$.-]{1,64}$/.test(name) ? JSON.stringify(name) : HIDDEN_NAME;
}

/** Whether a text has a form that cannot carry credentials. */
export function canQuote(text: string): boolean {
  if (/\p{C}/u.test(text)) return false;
  if (text.length > MAX_QUOTE) return text.length <= MAX_PATH && longPath.test(text);
  return words.test(text) || hostAndPorts.test(text) || ipv6.test(text) || plainUrl.test(text);
}

/** Takes user and password out of a URL that has been checked. */
export function hideUserinfo(url: string): string {
  return url.replace(/(\/\/).*@/gs, "$1[redacted]@");
}
