import * as z from "zod";

import { describeHostError, toAsciiHost } from "../address/host.ts";
import { choice, either, flag, ipAddress, list, secret, settings, text, unquoted, word } from "./fields.ts";
import { parseUpstreamUrl } from "./upstream-url.ts";

/** A URL of an upstream proxy. It may hold a password, which shows least where the URL is malformed. */
function upstreamUrl() {
  return text('a URL such as "http://proxy.example:3128"', findUrlFault, nameUrl);
}

function findUrlFault(value: string): string | undefined {
  const parsed = parseUpstreamUrl(value);
  return parsed.ok ? undefined : parsed.reason;
}

function nameUrl(value: unknown): string {
  return typeof value === "string" ? "the URL" : unquoted(value);
}

/** A name, in U-labels too, or an address. */
function findNameFault(name: string): string | undefined {
  const parsed = toAsciiHost(name);
  return parsed.ok ? undefined : `is no host: ${describeHostError(parsed.code)}`;
}

const pemPath = () => text('the path of a PEM file, such as "ca.pem"');

const upstreamSettings = settings({
  url: upstreamUrl().describe(
    "`kind://[user:password@]host[:port]`. Kinds: `http` (CONNECT), `https` (CONNECT within TLS), `socks5` (names are resolved here), `socks5h` and `socks4a` (names are resolved there). The port may be left out for `https` (443) and SOCKS (1080). User and password are percent-encoded.",
  ),
  username: text("a user name", undefined, unquoted).describe("User name, instead of one in the URL.").optional(),
  password: secret().describe("Password, instead of one in the URL.").optional(),
  auth: word(["basic", "digest"])
    .describe(
      "The only scheme in which an `http` or `https` upstream gets the credentials. Default: Basic at once, and Digest when it asks for that instead.",
    )
    .optional(),
  ca: either("the path of a PEM file, or a list of them", [pemPath(), list(pemPath(), "a list of paths of PEM files")])
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
      "Begin each connection to the upstream with a PROXY protocol header of this version, before TLS, that tells of the client. It has to expect that. Default: none.",
    )
    .optional(),
  sourceAddress: ipAddress()
    .describe("Local IP address to connect to the upstream from. Default: the system chooses.")
    .optional(),
});

export const upstreamsSchema = z
  .record(z.string(), either("a URL, or a map with a url", [upstreamUrl(), upstreamSettings], unquoted), {
    error: 'Write a map from names to URLs, as in { corp: "http://proxy.example:3128" }.',
  })
  .describe(
    "Upstream proxies by name, for `via` and `default`. Each is a URL or a map. `direct`, `deny`, `environment` and `upstream` are not free to be names.",
  )
  .default({});

export const upstreamSchema = text(
  'a URL such as "http://proxy.example:3128", or "environment"',
  (value) => (value === "environment" ? undefined : findUrlFault(value)),
  nameUrl,
)
  .describe(
    'Shorthand for one upstream that everything goes through unless a rule says otherwise: a URL, or `"environment"` for what `https_proxy`, `all_proxy` and `no_proxy` say.',
  )
  .optional();

export type UpstreamSettings = z.output<typeof upstreamSettings>;
