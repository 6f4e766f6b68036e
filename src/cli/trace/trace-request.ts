import {
  describeEndpointError,
  type Endpoint,
  formatEndpoint,
  formatHost,
  parseAuthority,
} from "../../address/endpoint.ts";
import { toAsciiHost } from "../../address/host.ts";
import { quoteValue } from "../../config/problem.ts";
import type { Hop } from "../../proxy/route/hop.ts";

/** What is to be traced: a GET of one URL. */
export interface TraceTarget {
  readonly scheme: "http" | "https";
  readonly endpoint: Endpoint;
  /** Path and query, visible ASCII. */
  readonly path: string;
}

/** A target, and how to go there. */
export interface TraceRequest {
  readonly target: TraceTarget;
  readonly proxy?: Hop;
  /** The only version of TLS to offer. */
  readonly version?: "1.2" | "1.3";
  /** PEM texts of the only roots to trust. */
  readonly ca?: readonly string[];
  /** Go on with a server whose certificate is not to be trusted. */
  readonly insecure: boolean;
  /** Milliseconds for all of it. */
  readonly timeoutMs: number;
}

const DEFAULT_PORTS = { http: 80, https: 443 } as const;

/** Reads `https://host[:port][/path]`; without a scheme it is https. A text says what is wrong with it. */
export function parseTraceTarget(text: string): TraceTarget | string {
  const value = quoteValue(text);
  const quoted = value.startsWith('"') ? value : "The URL";
  const [, written = "https", rest = ""] = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?(.*)$/s.exec(text) ?? [];
  const scheme = written.toLowerCase();
  if (scheme !== "http" && scheme !== "https") return `${quoted} is not a URL of http or https.`;
  const [beforeFragment = ""] = rest.split("#", 1);
  const pathAt = beforeFragment.search(/[/?]/);
  const authority = pathAt < 0 ? beforeFragment : beforeFragment.slice(0, pathAt);
  const path = pathAt < 0 ? "/" : beforeFragment.slice(pathAt).replace(/^\?/, "/?");
  if (authority.includes("@")) return `${quoted} has credentials, which a trace does not send. Leave them out.`;
  if (/[^\x21-\x7e]/.test(path)) return `The path has characters that must be percent-encoded.`;
  const endpoint = parseEndpoint(authority, DEFAULT_PORTS[scheme]);
  if (typeof endpoint === "string") return `${quoted} names no server: ${endpoint}.`;
  return { scheme, endpoint, path };
}

function parseEndpoint(authority: string, defaultPort: number): Endpoint | string {
  const bare = toAsciiHost(authority);
  if (bare.ok) return { host: bare.host, port: defaultPort };
  const [, name = "", port = ""] = /^(.*)(:[0-9]+)$/.exec(authority) ?? [];
  const named = toAsciiHost(name);
  const parsed = parseAuthority(named.ok ? `${formatHost(named.host)}${port}` : authority);
  return parsed.ok ? parsed.endpoint : describeEndpointError(parsed.code);
}

/** The URL of a target, its port only where it is not the usual one. */
export function formatTraceTarget({ scheme, endpoint, path }: TraceTarget): string {
  return `${scheme}://${formatTargetAuthority({ scheme, endpoint })}${path}`;
}

/** Host and port as a Host field has them. */
export function formatTargetAuthority({ scheme, endpoint }: Pick<TraceTarget, "scheme" | "endpoint">): string {
  return endpoint.port === DEFAULT_PORTS[scheme] ? formatHost(endpoint.host) : formatEndpoint(endpoint);
}
