import type * as z from "zod";

import { describeHostError, toAsciiHost } from "../address/host.ts";
import {
  choice,
  flag,
  ipAddress,
  parsed,
  pemPath,
  pemPaths,
  secret,
  settings,
  text,
  textPatterns,
  unquoted,
  word,
} from "./fields.ts";
import type { PartsOf } from "./parts.ts";
import { type Problem, quoteValue } from "./problem.ts";
import { parseUpstreamUrl } from "./upstream-url.ts";
import { parseUserTemplate } from "./user-template.ts";

/** A URL of an upstream proxy. A message never repeats it, since it may hold a password. */
export function upstreamUrl() {
  return parsed('a URL such as "http://proxy.example:3128"', parseUpstreamUrl, undefined, nameUrl).meta({
    pattern: textPatterns.upstream,
  });
}

export function nameUrl(value: unknown): string {
  return typeof value === "string" ? "the URL" : unquoted(value);
}

/** A name, in U-labels too, or an address. */
function findNameFault(name: string): string | undefined {
  const host = toAsciiHost(name);
  return host.ok ? undefined : `is no host: ${describeHostError(host.code)}`;
}

export const upstreamSettings = settings({
  url: upstreamUrl().describe(
    "`kind://[user:password@]host[:port]`. Kinds: `http` (CONNECT), `https` (CONNECT within TLS), `socks5` (names are resolved here), `socks5h` and `socks4a` (names are resolved there). The port may be left out for `https` (443) and SOCKS (1080). User and password are percent-encoded.",
  ),
  username: parsed("a user name", parseUserTemplate, undefined, () => "the user name")
    .describe(
      'User name, instead of one in the URL. `{user}` stands for the user of the client, `{session}` for the parameter of that name in its user name (`auth.parameters`); a part in brackets, as in `"customer-{user}[-session-{session}]"`, is left out when its parameter is not there, and without brackets the request is refused. Of values only letters, digits and the signs `-._~@+` that the text around them does not have are sent as they are, all else as `%XX`. Doubled braces and brackets mean themselves.',
    )
    .optional(),
  password: secret().describe("Password, instead of one in the URL.").optional(),
  auth: word(["basic", "digest"])
    .describe(
      "The only scheme in which the proxy sends credentials to an `http` or `https` upstream. Default: Basic at once, and Digest when the upstream asks for it.",
    )
    .optional(),
  ca: pemPaths()
    .describe(
      "PEM file, or files, with the certificate authorities to trust for an `https` upstream. Default: the ones that come with the program.",
    )
    .optional(),
  cert: pemPath().describe("PEM file with the client certificate chain for an `https` upstream.").optional(),
  key: pemPath().describe("PEM file with the private key of `cert`.").optional(),
  serverName: text("a host name", findNameFault)
    .describe(
      "Name to send as SNI and to verify in the certificate of an `https` upstream. Default: the host of the URL.",
    )
    .optional(),
  tunnelHttp: flag()
    .describe(
      "Ask an `http` or `https` upstream for a tunnel also for plain HTTP requests, instead of letting it forward them. Default: false.",
    )
    .optional(),
  proxyProtocol: choice([1, 2])
    .describe(
      "Begin each connection to the upstream with a PROXY protocol header of this version, before TLS, that names the client. The upstream must expect it. Default: none.",
    )
    .optional(),
  sourceAddress: ipAddress()
    .describe("Local IP address to connect to the upstream from. Default: the system chooses.")
    .optional(),
});

/** Settings of an upstream that contradict each other, or its URL. */
export function findUpstreamConflicts(upstream: PartsOf<UpstreamSettings>): Problem[] {
  const url = typeof upstream.url === "string" ? parseUpstreamUrl(upstream.url) : undefined;
  if (!url?.ok) return [];
  const { kind, credentials } = url.value;
  const { username, password, auth, cert, key } = upstream;
  const problems: Problem[] = [];
  const tell = (setting: string, message: string) => problems.push({ path: [setting], message });
  for (const [setting, value] of Object.entries({ username, password }))
    if (credentials && value !== undefined)
      tell(setting, "Found credentials in the URL as well. Write them in one place.");
  if (!credentials && password !== undefined && username === undefined)
    tell("password", 'Found a password without a user. Set "username" too.');
  if (auth !== undefined && kind !== "http" && kind !== "https")
    tell(
      "auth",
      `The upstream is of kind ${kind}, which has one scheme only. Write an "http://" or "https://" URL, or leave "auth" out.`,
    );
  else if (auth !== undefined && !credentials && username === undefined)
    tell("auth", 'Found a way to show credentials and none to show. Set "username" and "password" too.');
  for (const setting of ["ca", "cert", "key", "serverName"] as const)
    if (kind !== "https" && upstream[setting] !== undefined)
      tell(
        setting,
        `The upstream is of kind ${kind}, without TLS. Write an "https://" URL, or leave ${quoteValue(setting)} out.`,
      );
  if ((cert === undefined) !== (key === undefined))
    tell(cert === undefined ? "key" : "cert", 'Found only one of "cert" and "key". Set both.');
  return problems;
}

export const upstreamSchema = parsed(
  'a URL such as "http://proxy.example:3128", or "environment"',
  (value) => (value === "environment" ? { ok: true as const } : parseUpstreamUrl(value)),
  undefined,
  nameUrl,
)
  .meta({ pattern: `^environment$|${textPatterns.upstream}` })
  .describe(
    'Shorthand for one upstream for everything, unless a rule says otherwise: a URL, or `"environment"` for what `https_proxy`, `all_proxy` and `no_proxy` say.',
  )
  .optional();

export type UpstreamSettings = z.output<typeof upstreamSettings>;
