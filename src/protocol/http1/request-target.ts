import type { Parsed } from "../parsed.ts";

/**
 * A request-target by its form (RFC 9112 §3.2). An authority is raw: it is not
 * empty, holds only characters that an authority may have and no userinfo, but
 * its host and port are for `address/` to read.
 */
export type RequestTarget =
  | { readonly form: "authority"; readonly authority: string }
  | {
      readonly form: "absolute";
      /** `ws` and `wss` ask for an Upgrade of these (RFC 6455 §3); some clients write them to a proxy. */
      readonly scheme: "http" | "https";
      readonly authority: string;
      /** What goes to the origin: begins with `/`, or is `*` for OPTIONS (RFC 9112 §3.2.4). */
      readonly pathAndQuery: string;
    }
  | { readonly form: "origin"; readonly pathAndQuery: string }
  | { readonly form: "asterisk" };

/**
 * What can be wrong with a request-target.
 *
 * - `not_authority_form`: CONNECT asks for something else than `host:port`.
 * - `bad_target_form`: none of the four forms, or one that the method does not allow.
 * - `unsupported_scheme`: an absolute URI that is none of `http`, `https`, `ws` and `wss`.
 * - `bad_authority`: empty, or with a character that no authority has.
 * - `userinfo`: `user@` before a host, which is deprecated and misleads (RFC 9110 §4.2.4).
 * - `fragment`: a `#`, which never belongs to a request-target.
 * - `bad_path`: a space or a control character.
 */
export type RequestTargetError =
  | "not_authority_form"
  | "bad_target_form"
  | "unsupported_scheme"
  | "bad_authority"
  | "userinfo"
  | "fragment"
  | "bad_path";

/** As every parser's result, but a target is always whole: there is no `more`. `used` is its length, `at` counts characters. */
export type RequestTargetResult = Exclude<Parsed<RequestTarget, RequestTargetError>, { readonly kind: "more" }>;

/**
 * What no path and no query may have. RFC 3986 also forbids `" < > [ \ ] ^ { | }`,
 * the back quote and octets past ASCII there, but browsers and libraries send
 * them as they are, and none of them ends a request line or begins a host.
 */
const outsideOfPath = /[^\x21\x22\x24-\x7e\x80-\xff]/;

/** `uri-host` and port (RFC 3986 §3.2): reg-name, brackets of an IP literal, colon. */
const outsideOfAuthority = /[^A-Za-z0-9\-._~!$&'()*+,;=%:[\]]/;

const schemeAndSlashes = /^([A-Za-z][A-Za-z0-9+\-.]*):\/\//;

/**
 * Reads a request-target for a method. CONNECT takes the authority-form and
 * nothing else, OPTIONS alone takes `*`, all other methods take the absolute-form
 * and the origin-form.
 */
export function parseRequestTarget(method: string, target: string): RequestTargetResult {
  if (method === "CONNECT") return parseAuthorityForm(target);
  if (target === "*") return method === "OPTIONS" ? accept(target, { form: "asterisk" }) : refuse("bad_target_form", 0);
  if (target.startsWith("/")) {
    return checkPath(target, 0) ?? accept(target, { form: "origin", pathAndQuery: target });
  }
  return parseAbsoluteForm(method, target);
}

function parseAuthorityForm(target: string): RequestTargetResult {
  if (target === "" || /[/?#]/.test(target) || target === "*") return refuse("not_authority_form", 0);
  return checkAuthority(target, 0) ?? accept(target, { form: "authority", authority: target });
}

function parseAbsoluteForm(method: string, target: string): RequestTargetResult {
  const written = readScheme(target);
  if (written === undefined) return refuse("bad_target_form", 0);
  const scheme = schemes.get(written);
  if (scheme === undefined) return refuse("unsupported_scheme", 0);
  const start = written.length + "://".length;
  const end = findAuthorityEnd(target, start);
  const authority = target.slice(start, end);
  const bad = checkAuthority(authority, start) ?? checkPath(target, end);
  if (bad !== undefined) return bad;
  const rest = target.slice(end);
  const pathAndQuery = rest === "" && method === "OPTIONS" ? "*" : rest.startsWith("/") ? rest : `/${rest}`;
  return accept(target, { form: "absolute", scheme, authority, pathAndQuery });
}

const schemes: ReadonlyMap<string, "http" | "https"> = new Map([
  ["http", "http"],
  ["https", "https"],
  ["ws", "http"],
  ["wss", "https"],
]);

/** The scheme in lower case; most write it so. */
function readScheme(target: string): string | undefined {
  return target.startsWith("http://") ? "http" : schemeAndSlashes.exec(target)?.[1]?.toLowerCase();
}

function findAuthorityEnd(target: string, start: number): number {
  for (let at = start; at < target.length; at++) {
    const character = target.charCodeAt(at);
    if (character === SLASH || character === QUESTION_MARK || character === HASH) return at;
  }
  return target.length;
}

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const HASH = 0x23;

function checkAuthority(authority: string, start: number): RequestTargetResult | undefined {
  if (authority === "") return refuse("bad_authority", start);
  const at = authority.search(outsideOfAuthority);
  if (at === -1) return undefined;
  return refuse(authority.includes("@") ? "userinfo" : "bad_authority", start + at);
}

/** Checks what follows the authority, from `start` to the end of the target. */
function checkPath(target: string, start: number): RequestTargetResult | undefined {
  const rest = target.slice(start);
  const at = rest.search(outsideOfPath);
  return at === -1 ? undefined : refuse(rest[at] === "#" ? "fragment" : "bad_path", start + at);
}

function accept(target: string, value: RequestTarget): RequestTargetResult {
  return { kind: "done", value, used: target.length };
}

function refuse(code: RequestTargetError, at: number): RequestTargetResult {
  return { kind: "bad", code, at };
}
