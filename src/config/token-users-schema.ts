import * as z from "zod";

import { createTokenStore, type KeySource, type TokenDemands, type TokenStore } from "../proxy/auth/token-store.ts";
import { readKeySet } from "../proxy/auth/read-key-set.ts";
import { duration, either, flag, hidden, list, parsed, pemPaths, settings, text, word } from "./fields.ts";
import { isLoopbackHost } from "./listener-address.ts";
import type { Materials } from "./materials.ts";
import { checked, MALFORMED } from "./parts.ts";
import { findAuthorityFaults, listPaths } from "./pem.ts";
import { type Checked, type Problem, quoteValue, type Read, readAccepted, refuse } from "./problem.ts";
import { parseDuration, readDuration } from "./quantity.ts";

const EXAMPLE = '"https://id.example/.well-known/jwks.json"';

/** Asymmetric ones alone: whoever verifies with a shared secret could sign with it, too. */
const ALGORITHMS = [
  ...(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const),
  ...(["ES256", "ES384", "ES512", "EdDSA", "Ed25519"] as const),
] as const;

const MAX_LEEWAY_MS = 300_000;

const names = (wanted: string) => either(wanted, [text(wanted), list(text("a text"), wanted)]);

export const tokenUsersSchema = checked(
  settings({
    jwks: either(`the address of a key set such as ${EXAMPLE}, or { file: "jwks.json" }`, [
      parsed(`the address of a key set, such as ${EXAMPLE}`, parseKeysUrl, undefined, hidden("The address")),
      settings({
        file: text("the path of a file").describe(
          "Path of a file with the key set, relative to the configuration file. A change of the file is a reload.",
        ),
      }),
    ]).describe(
      "The public keys of the issuer (JWK set): a URL, which is asked directly and never through a proxy, or `{ file }`. Keys at a URL are fetched with the first token, again after `refresh`, and when a token names a key that is not among them, at most every 30 seconds. When the server fails, the last keys stay in use. Redirects are not followed.",
    ),
    issuer: text('the issuer of the tokens, such as "https://id.example/"').describe(
      "The claim `iss` that a token must have, letter by letter.",
    ),
    audience: names('an audience such as "penstock", or a list of them').describe(
      "What the claim `aud` of a token must have, or one of several. Tokens for other services are refused.",
    ),
    claim: text("the name of a claim")
      .describe("The claim with the name of the user: up to 255 bytes, no control characters. Default: `sub`.")
      .optional(),
    algorithms: list(word(ALGORITHMS), "a list of algorithms")
      .describe(
        "Algorithms of signatures that are accepted. Those with a shared secret (`HS256`) and `none` never are. Default: all of these.",
      )
      .optional(),
    claims: z
      .record(z.string(), names("a text, or a list of texts"), {
        error: () => 'Write a map from claims to values, as in { groups: ["proxy-users"] }.',
      })
      .describe(
        'Claims that a token must have, each with one of these values: `{ groups: ["proxy-users"] }`. A claim that is a list must have one of them, and so must a text with spaces, such as `scope`. Default: none.',
      )
      .optional(),
    leeway: parsed('a duration such as "30s"', parseDuration, ({ value }) =>
      value > MAX_LEEWAY_MS ? 'is too long. Write at most "5m"' : undefined,
    )
      .describe("How far the clock of the issuer may differ, at most 5 minutes. Default: `5s`.")
      .optional(),
    refresh: duration({ zero: false })
      .describe("After this time keys from a URL are fetched again, when a token comes. Default: `10m`.")
      .optional(),
    timeout: duration({ zero: false }).describe("Time for fetching the keys. Default: `5s`.").optional(),
    ca: pemPaths()
      .describe(
        "PEM file, or files, with the certificate authorities to trust for the keys. Default: the ones that come with the program.",
      )
      .optional(),
    allowHttp: flag()
      .describe(
        "Fetch the keys over `http://` from another machine. Whoever is on the way can then let anybody in. Default: false.",
      )
      .optional(),
  }),
  ({ jwks, ca, allowHttp }) => {
    const url = typeof jwks === "string" ? readAccepted(parseKeysUrl(jwks)) : undefined;
    const problems: Problem[] = [];
    if (url !== undefined && isExposed(url) && allowHttp !== true && allowHttp !== MALFORMED)
      problems.push({
        path: ["jwks"],
        message:
          'The keys would come without TLS: whoever is on the way could let anybody in. Write "https://", or set "allowHttp".',
      });
    if (jwks !== MALFORMED && ca !== undefined && url?.protocol !== "https:")
      problems.push({
        path: ["ca"],
        message: 'There is no TLS to check. Leave "ca" out, or write "https://" in "jwks".',
      });
    return problems;
  },
);

export type TokenUsersSettings = z.output<typeof tokenUsersSchema>;

/** Messages do not repeat the address: it may have a password. */
function parseKeysUrl(written: string): Read<URL> {
  if (!/^https?:\/\//i.test(written) || !URL.canParse(written))
    return refuse(`cannot be read. Write one such as ${EXAMPLE}`);
  const url = new URL(written);
  if (url.username !== "" || url.password !== "") return refuse("has credentials. Public keys need none");
  if (url.hash !== "") return refuse("has a fragment. Leave it out");
  return { ok: true, value: url };
}

function isExposed({ protocol, hostname }: URL): boolean {
  return protocol === "http:" && !isLoopbackHost(hostname.replace(/^\[|\]$/g, ""));
}

/** Compiles users with tokens. `parameters` are those of user names. */
export function compileTokenUsers(
  written: TokenUsersSettings,
  materials: Materials,
  parameters: readonly string[],
): Checked<TokenStore> {
  const { jwks, ca } = written;
  const problems = [
    ...(ca === undefined ? [] : findAuthorityFaults(ca, ["users", "ca"], materials.files)),
    ...findKeyProblems(jwks, materials),
  ];
  const source = compileKeySource(written, materials);
  // A file that cannot be read is reported already.
  if (problems.length > 0 || source === undefined) return { ok: false, problems };
  return { ok: true, value: createTokenStore(source, compileDemands(written), parameters) };
}

function compileKeySource(
  { jwks, ca, refresh = "10m", timeout = "5s" }: TokenUsersSettings,
  { files }: Materials,
): KeySource | undefined {
  if (typeof jwks !== "string") {
    const keys = files.get(jwks.file);
    return keys === undefined ? undefined : { kind: "file", text: keys };
  }
  return {
    kind: "url",
    url: new URL(jwks).href,
    ca: ca === undefined ? undefined : listPaths(ca).map((file) => files.get(file) ?? ""),
    refreshMs: readDuration(refresh),
    timeoutMs: readDuration(timeout),
  };
}

function compileDemands(written: TokenUsersSettings): TokenDemands {
  const { issuer, audience, claim = "sub", claims = {}, algorithms = ALGORITHMS, leeway = "5s" } = written;
  return {
    issuer,
    audience: listOf(audience),
    algorithms,
    user: claim,
    claims: Object.entries(claims).map(([name, values]) => [name, listOf(values)]),
    leewaySeconds: readDuration(leeway) / 1000,
  };
}

function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? [value] : value;
}

function findKeyProblems(jwks: TokenUsersSettings["jwks"], { files }: Materials): Problem[] {
  const keys = typeof jwks === "string" ? undefined : files.get(jwks.file);
  if (typeof jwks === "string" || keys === undefined) return [];
  const read = readKeySet(keys);
  if (read.ok) return [];
  return [
    { path: ["users", "jwks", "file"], message: `The file ${quoteValue(jwks.file)} ${read.why}. Write a JWK set.` },
  ];
}

/** Warns of keys that anybody on the way can replace. */
export function findTokenWarnings({ jwks }: TokenUsersSettings): Problem[] {
  if (typeof jwks !== "string" || !isExposed(new URL(jwks))) return [];
  const message = "The keys come without TLS: whoever is on the way can let anybody in.";
  return [{ path: ["users", "jwks"], message }];
}
