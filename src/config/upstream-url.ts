import { describeEndpointError, type Endpoint, parseAuthority } from "../address/endpoint.ts";
import type { HopKind } from "../proxy/route/hop.ts";
import { type Read, refuse } from "./problem.ts";
import { suggest } from "./suggest.ts";

/** What a URL says about an upstream proxy. */
interface UpstreamUrl {
  readonly kind: HopKind;
  readonly endpoint: Endpoint;
  /** Percent-decoded userinfo. */
  readonly credentials?: { readonly user: string; readonly password: string };
}

/**
 * Default ports by kind. None for http: programs disagree (80 by the URL
 * standard, 1080 for curl, 3128 by custom).
 */
const defaultPorts: Readonly<Record<HopKind, number | undefined>> = {
  https: 443,
  http: undefined,
  socks5: 1080,
  socks5h: 1080,
  socks4a: 1080,
};

/** Schemes that people write for an upstream, and the advice. Messages do not repeat others: they may begin a password. */
const otherSchemes: Readonly<Record<string, string>> = {
  socks: ' Did you mean "socks5h"?',
  socks4: ' Did you mean "socks4a"?',
  h2: ' Did you mean "https"?',
  tls: ' Did you mean "https"?',
  ssl: ' Did you mean "https"?',
  quic: "",
  ws: "",
  wss: "",
  ftp: "",
  tcp: "",
  unix: "",
  pac: "",
};

const KINDS = "Upstreams are http, https, socks5, socks5h or socks4a";
const ENCODE =
  "percent-encode what is not a letter or a digit: @ as %40, / as %2F, # as %23, ? as %3F, : as %3A, % as %25";

/**
 * Reads `kind://[user:password@]host[:port]`. The URL class cannot: it rewrites
 * addresses (`http://1` becomes 0.0.0.1).
 */
export function parseUpstreamUrl(text: string): Read<UpstreamUrl> {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(text);
  if (!match) return refuse(explainMissingScheme(text));
  const scheme = (match[1] ?? "").toLowerCase();
  if (!isHopKind(scheme)) return refuse(explainScheme(scheme));
  const rest = (match[2] ?? "").replace(/\/$/, "");
  const at = rest.lastIndexOf("@");
  if (/[/?#]/.test(rest))
    return refuse(
      /[/?#].*@/s.test(rest)
        ? `has a user or a password with "/", "?" or "#" in it. Write "user:password@" and ${ENCODE}`
        : "has more than a host and a port. Leave out path and query",
    );
  const credentials = at < 0 ? undefined : parseUserinfo(rest.slice(0, at));
  if (/^[^:]*\{[a-z0-9_]+\}/.test(rest.slice(0, Math.max(0, at))))
    return refuse(
      'has a placeholder in its user. Write it in "username", and braces that mean themselves as %7B and %7D',
    );
  if (credentials === null) return refuse(`has credentials that cannot be read. Write "user:password@" and ${ENCODE}`);
  const authority = rest.slice(at + 1);
  const port = defaultPorts[scheme];
  const complete = /:[^\]]*$/.test(authority) || port === undefined;
  const parsed = parseAuthority(complete ? authority : `${authority}:${port}`);
  if (!parsed.ok)
    return refuse(
      parsed.code === "port_missing"
        ? `has no port. Write one, as in "${scheme}://proxy.example:3128"`
        : `names no upstream: ${describeEndpointError(parsed.code)}`,
    );
  return {
    ok: true,
    value: {
      kind: scheme,
      endpoint: parsed.endpoint,
      ...(credentials && { credentials }),
    },
  };
}

function explainMissingScheme(text: string): string {
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/[^/]/.test(text))
    return 'has only one slash. Write two, as in "http://proxy.example:3128"';
  return `has no scheme. Write one, as in "http://${text.includes("@") ? "user:password@" : ""}proxy.example:3128"`;
}

function explainScheme(scheme: string): string {
  const hint = otherSchemes[scheme];
  if (hint !== undefined && Object.hasOwn(otherSchemes, scheme))
    return `begins with "${scheme}". ${KINDS}.${hint}`.replace(/\.$/, "");
  return `begins with another scheme. ${KINDS}.${suggest(scheme, Object.keys(defaultPorts))}`.replace(/\.$/, "");
}

/** Undefined for none, null for malformed. */
function parseUserinfo(text: string): { user: string; password: string } | null | undefined {
  if (text === "") return undefined;
  if (/[@\s]/.test(text)) return null;
  const colon = text.indexOf(":");
  try {
    const user = decodeURIComponent(colon < 0 ? text : text.slice(0, colon));
    const password = colon < 0 ? "" : decodeURIComponent(text.slice(colon + 1));
    return user === "" || /\p{Cc}/u.test(user + password) ? null : { user, password };
  } catch {
    return null;
  }
}

function isHopKind(scheme: string): scheme is HopKind {
  return Object.hasOwn(defaultPorts, scheme);
}
