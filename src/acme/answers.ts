import { cutText, escapeText } from "../escape-text.ts";
import { type AcmeResult, failAcme, succeed } from "./outcome.ts";

/** What the directory of an authority names (RFC 8555 §7.1.1). All URLs have its origin. */
export interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  /** RFC 9773; absent where the authority says nothing of renewals. */
  readonly renewalInfo: string | undefined;
  /** Kinds of certificates that may be asked for, by name. */
  readonly profiles: readonly string[];
  readonly needsBinding: boolean;
}

export interface Order {
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate: string | undefined;
  readonly problem: string | undefined;
}

export interface Authorization {
  readonly status: string;
  /** The name, with `*.` where it is for a wildcard. */
  readonly name: string;
  readonly challenges: readonly Challenge[];
}

export interface Challenge {
  readonly type: string;
  readonly url: string;
  readonly status: string;
  /** 22 characters of base64url or more (RFC 8555 §8.3); empty for a kind without one. */
  readonly token: string;
  readonly problem: string | undefined;
}

/** When the authority suggests to renew (RFC 9773 §4.2), in milliseconds since the epoch. */
export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
  readonly explanation: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** Characters of the server's text in a message. */
const TEXT_LIMIT = 300;
const MAX_URL = 2048;
/** Authorizations of an order and challenges of one are few: names are limited. */
const MAX_ITEMS = 200;
/** No path and no trick: it becomes part of a path and of a name. */
const TOKEN = /^[A-Za-z0-9_-]{16,256}$/;

/** A text of the server, for people. */
export function quoteServer(text: string): string {
  return escapeText(cutText(text, TEXT_LIMIT));
}

/** Reads the JSON of an answer; undefined when it is no map. */
export function readFields(text: string): Fields | undefined {
  try {
    return asFields(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** A URL of the same origin as the directory. The account's key signs for nobody else, and nothing else is asked. */
export function readUrl(value: unknown, what: string, base: string): AcmeResult<string> {
  if (typeof value !== "string" || value.length > MAX_URL || !URL.canParse(value, base))
    return failAcme(`the server names no URL for ${what}`);
  const url = new URL(value, base);
  if (url.origin !== new URL(base).origin || url.username !== "" || url.password !== "")
    return failAcme(`the server names ${quoteServer(url.origin)} for ${what}, which is not the host of the directory`);
  return succeed(url.href);
}

export function readDirectory(fields: Fields, base: string): AcmeResult<Directory> {
  const urls: Record<string, string> = {};
  for (const name of ["newNonce", "newAccount", "newOrder"]) {
    const url = readUrl(fields[name], `"${name}" of the directory`, base);
    if (!url.ok) return url;
    urls[name] = url.value;
  }
  const info = fields["renewalInfo"] === undefined ? undefined : readUrl(fields["renewalInfo"], '"renewalInfo"', base);
  if (info?.ok === false) return info;
  const meta = asFields(fields["meta"]) ?? {};
  const { newNonce = "", newAccount = "", newOrder = "" } = urls;
  return succeed({
    newNonce,
    newAccount,
    newOrder,
    renewalInfo: info?.value,
    profiles: Object.keys(asFields(meta["profiles"]) ?? {}).slice(0, MAX_ITEMS),
    needsBinding: meta["externalAccountRequired"] === true,
  });
}

export function readOrder(fields: Fields, base: string): AcmeResult<Order> {
  const authorizations: string[] = [];
  for (const each of readItems(fields["authorizations"])) {
    const url = readUrl(each, "an authorization", base);
    if (!url.ok) return url;
    authorizations.push(url.value);
  }
  const finalize = readUrl(fields["finalize"], '"finalize"', base);
  if (!finalize.ok) return finalize;
  const certificate =
    fields["certificate"] === undefined ? undefined : readUrl(fields["certificate"], "the certificate", base);
  if (certificate?.ok === false) return certificate;
  return succeed({
    status: readWord(fields["status"]),
    authorizations,
    finalize: finalize.value,
    certificate: certificate?.value,
    problem: describeProblem(fields["error"]),
  });
}

export function readAuthorization(fields: Fields, base: string): AcmeResult<Authorization> {
  const identifier = asFields(fields["identifier"]) ?? {};
  if (identifier["type"] !== "dns" || typeof identifier["value"] !== "string")
    return failAcme("the server sent an authorization that is for no name");
  const challenges: Challenge[] = [];
  for (const each of readItems(fields["challenges"])) {
    const challenge = readChallenge(asFields(each) ?? {}, base);
    if (!challenge.ok) return challenge;
    challenges.push(challenge.value);
  }
  const star = fields["wildcard"] === true ? "*." : "";
  return succeed({
    status: readWord(fields["status"]),
    name: star + identifier["value"].toLowerCase(),
    challenges,
  });
}

function readChallenge(fields: Fields, base: string): AcmeResult<Challenge> {
  const url = readUrl(fields["url"], "a challenge", base);
  if (!url.ok) return url;
  const { token } = fields;
  return succeed({
    type: readWord(fields["type"]),
    url: url.value,
    status: readWord(fields["status"]),
    token: typeof token === "string" && TOKEN.test(token) ? token : "",
    problem: describeProblem(fields["error"]),
  });
}

/** Undefined for a window that ends before it begins, or that has no dates: RFC 9773 §4.2 has it ignored. */
export function readRenewalWindow(fields: Fields): RenewalWindow | undefined {
  const window = asFields(fields["suggestedWindow"]) ?? {};
  const [start, end] = [readTime(window["start"]), readTime(window["end"])];
  if (start === undefined || end === undefined || end <= start) return undefined;
  const explanation = fields["explanationURL"];
  return { start, end, explanation: typeof explanation === "string" ? quoteServer(explanation) : undefined };
}

/** RFC 3339. */
function readTime(value: unknown): number | undefined {
  if (
    typeof value !== "string" ||
    !/^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/.test(value)
  )
    return undefined;
  const time = Date.parse(value.toUpperCase());
  return Number.isNaN(time) ? undefined : time;
}

/** A problem document (RFC 7807) with its subproblems, for people; undefined for none. */
export function describeProblem(value: unknown): string | undefined {
  const problem = asFields(value);
  if (problem === undefined) return undefined;
  const parts = [readProblemType(problem), readText(problem["detail"])].filter((part) => part !== "");
  const inner = readItems(problem["subproblems"])
    .slice(0, 3)
    .flatMap((each) => readText(asFields(each)?.["detail"]) || []);
  return quoteServer([parts.join(": "), ...inner].filter((part) => part !== "").join("; "));
}

/** The type of a problem without the prefix that all have: `rateLimited`. */
export function readProblemType(problem: Fields): string {
  return readText(problem["type"]).replace("urn:ietf:params:acme:error:", "");
}

/**
 * Milliseconds of a Retry-After: seconds or a date (RFC 9110 §10.2.3); undefined
 * when it cannot be read. `now` is in milliseconds since the epoch.
 */
export function readRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  // Only the form that ends in GMT: `Date.parse` takes much more.
  const time = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(value)
    ? Date.parse(value)
    : Number.NaN;
  return Number.isNaN(time) ? undefined : Math.max(0, time - now);
}

function readItems(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value.slice(0, MAX_ITEMS) : [];
}

function readText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A status or a type: one of the words of the RFC, or one that nobody knows. */
function readWord(value: unknown): string {
  return typeof value === "string" && /^[A-Za-z0-9-]{1,40}$/.test(value) ? value : "unknown";
}
