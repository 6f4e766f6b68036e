import { createHash } from "node:crypto";
import type { Secret } from "../../secret.ts";
import { parseAuthElements, quoteString } from "./auth-params.ts";

/** Hash functions of RFC 7616 §6.1 that are spoken here. */
export type DigestAlgorithm = "SHA-256" | "MD5";

/** What goes into a response (RFC 7616 §3.4.1). Texts from the wire are one character for each octet. */
export interface DigestInput {
  readonly algorithm: DigestAlgorithm;
  /** Of `computeHa1`. */
  readonly ha1: string;
  readonly nonce: string;
  readonly method: string;
  readonly uri: string;
  /** Absent with servers that know no `qop` (RFC 2617 §3.2.2.1). */
  readonly counted?: DigestCount;
}

/** The client's part of a response with `qop=auth`. */
export interface DigestCount {
  readonly cnonce: string;
  /** How often the nonce was used, from 1; at most 0xffffffff. */
  readonly nonceCount: number;
}

/** What a client sends, always with `qop=auth`. */
export interface DigestCredentials {
  readonly user: string;
  readonly realm: string;
  readonly algorithm: DigestAlgorithm;
  readonly nonce: string;
  readonly uri: string;
  readonly counted: DigestCount;
  /** Lower-case hexadecimal of the algorithm's length. */
  readonly response: string;
}

export type DigestCredentialsResult =
  | { readonly ok: true; readonly credentials: DigestCredentials }
  | { readonly ok: false; readonly code: "other_scheme" | "malformed" };

/** What a server asks. */
export interface DigestChallenge {
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  readonly algorithm: DigestAlgorithm;
  /** Whether the algorithm is the `-sess` variant. */
  readonly session: boolean;
  /** Whether only the nonce of the answer before was wrong. */
  readonly stale: boolean;
  /** Whether the server knows `qop=auth`. */
  readonly qop: boolean;
  /** Whether the server said that user names are UTF-8. */
  readonly utf8: boolean;
}

/** Who answers a challenge, to which request. */
export interface DigestAnswer {
  readonly user: string;
  readonly password: Secret;
  readonly method: string;
  /** The request-target, verbatim. */
  readonly uri: string;
  readonly counted: DigestCount;
}

const HASHES = {
  "SHA-256": { name: "sha256", pattern: /^[0-9a-f]{64}$/ },
  MD5: { name: "md5", pattern: /^[0-9a-f]{32}$/ },
} as const;

/** Characters of a nonce, cnonce or opaque value that are accepted. */
const MAX_NONCE = 512;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The secret part, H(user:realm:password), hexadecimal (RFC 7616 §3.4.2). User and password count as UTF-8. */
export function computeHa1(algorithm: DigestAlgorithm, user: string, realm: string, password: Secret): string {
  const sum = createHash(HASHES[algorithm].name);
  return sum.update(`${user}:`).update(realm, "latin1").update(`:${password.reveal()}`).digest("hex");
}

/** The response that proves knowledge of the password, hexadecimal (RFC 7616 §3.4.1). */
export function computeDigestResponse(input: DigestInput): string {
  const { algorithm, ha1, nonce, method, uri, counted } = input;
  const ha2 = hash(algorithm, `${method}:${uri}`);
  if (counted === undefined) return hash(algorithm, `${ha1}:${nonce}:${ha2}`);
  return hash(algorithm, `${ha1}:${nonce}:${formatCount(counted)}:${counted.cnonce}:auth:${ha2}`);
}

/** Gives the value of one Proxy-Authenticate field (RFC 7616 §3.3). */
export function formatDigestChallenge(challenge: {
  readonly realm: string;
  readonly nonce: string;
  readonly algorithm: DigestAlgorithm;
  readonly stale: boolean;
}): string {
  const { realm, nonce, algorithm, stale } = challenge;
  const value = `Digest realm=${quoteString(realm)}, qop="auth", algorithm=${algorithm}, nonce="${nonce}", charset=UTF-8`;
  return stale ? `${value}, stale=true` : value;
}

/** Reads the value of a `Proxy-Authorization: Digest …` field (RFC 7616 §3.4). Hashed user names and `-sess` are malformed: no challenge of ours asks for them. */
export function parseDigestCredentials(value: string): DigestCredentialsResult {
  if (!/^digest(?: |$)/i.test(value)) return { ok: false, code: "other_scheme" };
  const elements = parseAuthElements(value);
  const params = elements?.length === 1 ? elements[0]?.params : undefined;
  const credentials = params && readCredentials(params);
  return credentials ? { ok: true, credentials } : { ok: false, code: "malformed" };
}

/** Finds the strongest challenge among the Proxy-Authenticate values that can be answered here: SHA-256 before MD5, then the first. */
export function chooseDigestChallenge(fieldValues: readonly string[]): DigestChallenge | undefined {
  const challenges = fieldValues
    .flatMap((value) => parseAuthElements(value) ?? [])
    .filter(({ scheme }) => scheme === "digest")
    .map(({ params }) => readChallenge(params))
    .filter((challenge) => challenge !== undefined);
  return challenges.find(({ algorithm }) => algorithm === "SHA-256") ?? challenges[0];
}

/** Gives the Proxy-Authorization value that answers a challenge; undefined when the user name has a colon, or either has control characters. */
export function answerDigestChallenge(challenge: DigestChallenge, answer: DigestAnswer): string | undefined {
  const { algorithm, realm, nonce, opaque, session, qop } = challenge;
  const { user, password, method, uri, counted } = answer;
  if (/[\p{Cc}:]/u.test(user) || /\p{Cc}/u.test(password.reveal())) return undefined;
  const plain = computeHa1(algorithm, user, realm, password);
  // RFC 7616 §3.4.2: the -sess variants mix both nonces into the secret part.
  const ha1 = session ? hash(algorithm, `${plain}:${nonce}:${counted.cnonce}`) : plain;
  const response = computeDigestResponse({ algorithm, ha1, nonce, method, uri, ...(qop && { counted }) });
  const parts = [
    formatUser(user, challenge.utf8),
    `realm=${quoteString(realm)}`,
    `nonce=${quoteString(nonce)}`,
    `uri=${quoteString(uri)}`,
    `algorithm=${algorithm}${session ? "-sess" : ""}`,
    ...(qop ? ["qop=auth", `nc=${formatCount(counted)}`] : []),
    ...(qop || session ? [`cnonce=${quoteString(counted.cnonce)}`] : []),
    `response="${response}"`,
    ...(opaque === undefined ? [] : [`opaque=${quoteString(opaque)}`]),
  ];
  return `Digest ${parts.join(", ")}`;
}

function hash(algorithm: DigestAlgorithm, text: string): string {
  return createHash(HASHES[algorithm].name).update(text, "latin1").digest("hex");
}

function formatCount({ nonceCount }: DigestCount): string {
  return nonceCount.toString(16).padStart(8, "0");
}

/** RFC 7616 §3.4: beyond ASCII as `username*`. Older servers take the octets of UTF-8 in quotes. */
function formatUser(user: string, extended: boolean): string {
  if (/^[ -~]*$/.test(user)) return `username=${quoteString(user)}`;
  if (extended) return `username*=UTF-8''${encodeExtended(user)}`;
  return `username=${quoteString(Buffer.from(user).toString("latin1"))}`;
}

/** RFC 8187 §3.2.1: what encodeURIComponent leaves alone is not all of attr-char. */
function encodeExtended(text: string): string {
  return encodeURIComponent(text).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function readCredentials(params: ReadonlyMap<string, string>): DigestCredentials | undefined {
  const user = readUser(params);
  const realm = params.get("realm");
  const nonce = params.get("nonce");
  const cnonce = params.get("cnonce");
  const uri = params.get("uri");
  const response = params.get("response");
  const count = params.get("nc");
  const { algorithm, session } = readAlgorithm(params) ?? {};
  if (user === undefined || realm === undefined || uri === undefined || response === undefined) return undefined;
  if (!isNonce(nonce) || !isNonce(cnonce) || count === undefined || !/^[0-9a-f]{8}$/.test(count)) return undefined;
  if (algorithm === undefined || session || !HASHES[algorithm].pattern.test(response)) return undefined;
  if (params.get("qop") !== "auth" || params.get("userhash")?.toLowerCase() === "true") return undefined;
  return { user, realm, algorithm, nonce, uri, counted: { cnonce, nonceCount: Number.parseInt(count, 16) }, response };
}

function readChallenge(params: ReadonlyMap<string, string>): DigestChallenge | undefined {
  const realm = params.get("realm");
  const nonce = params.get("nonce");
  const opaque = params.get("opaque");
  const qop = params.get("qop");
  const algorithm = readAlgorithm(params);
  if (realm === undefined || algorithm === undefined || !isNonce(nonce)) return undefined;
  if (opaque !== undefined && opaque !== "" && !isNonce(opaque)) return undefined;
  // A list such as "auth,auth-int"; protection of bodies is nothing for a proxy's client.
  if (qop !== undefined && !qop.split(",").some((choice) => choice.trim().toLowerCase() === "auth")) return undefined;
  return {
    realm,
    nonce,
    opaque,
    ...algorithm,
    stale: params.get("stale")?.toLowerCase() === "true",
    qop: qop !== undefined,
    utf8: params.get("charset")?.toUpperCase() === "UTF-8",
  };
}

/** Without the parameter it is MD5 (RFC 7616 §3.3). */
function readAlgorithm(
  params: ReadonlyMap<string, string>,
): { algorithm: DigestAlgorithm; session: boolean } | undefined {
  const [, name, session] = /^(SHA-256|MD5)(-SESS)?$/.exec((params.get("algorithm") ?? "MD5").toUpperCase()) ?? [];
  if (name !== "SHA-256" && name !== "MD5") return undefined;
  return { algorithm: name, session: session !== undefined };
}

/** From `username`, or from `username*` (RFC 8187), not both. */
function readUser(params: ReadonlyMap<string, string>): string | undefined {
  const plain = params.get("username");
  const extended = params.get("username*");
  if (extended === undefined) return plain === undefined ? undefined : decodeUtf8(plain);
  const encoded = /^utf-8'[A-Za-z0-9-]*'((?:[!#$&+\-.^_`|~0-9A-Za-z]|%[0-9A-Fa-f]{2})*)$/i.exec(extended)?.[1];
  if (plain !== undefined || encoded === undefined) return undefined;
  return decodeUtf8(encoded.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))));
}

function decodeUtf8(octets: string): string | undefined {
  try {
    return utf8.decode(Buffer.from(octets, "latin1"));
  } catch {
    return undefined;
  }
}

function isNonce(text: string | undefined): text is string {
  return text !== undefined && text !== "" && text.length <= MAX_NONCE;
}
