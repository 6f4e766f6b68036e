import { describeHostError, formatName, type Host, type HostErrorCode, parseHost } from "./host.ts";

/** A host and a TCP port, 1..65535. */
export interface Endpoint {
  readonly host: Host;
  readonly port: number;
}

const problems = {
  userinfo: "a user name or an @ does not belong here",
  port_missing: "a port is required, as in example.org:443",
  port_invalid: "a port is a decimal number from 1 to 65535, without sign or leading zeros",
} as const;

/** Why a text is not an endpoint. */
export type EndpointErrorCode = HostErrorCode | keyof typeof problems;

export type EndpointResult =
  { readonly ok: true; readonly endpoint: Endpoint } | { readonly ok: false; readonly code: EndpointErrorCode };

/**
 * Reads the authority-form of a CONNECT request (RFC 9112 §3.2.3): host and port,
 * both required. A server must reject an empty or invalid port (RFC 9110 §9.3.6).
 */
export function parseAuthority(text: string): EndpointResult {
  return parseHostAndPort(text, undefined);
}

/**
 * Reads a Host field value, or the authority of an absolute-form target. A port
 * that is absent, or empty after its colon (RFC 3986 §3.2.3), is `defaultPort`.
 * An empty value is refused.
 */
export function parseHostField(text: string, defaultPort: number): EndpointResult {
  return parseHostAndPort(text, defaultPort);
}

/** `host:port`, IPv6 in brackets. `parseAuthority` reads it back. */
export function formatEndpoint(endpoint: Endpoint): string {
  return `${formatHost(endpoint.host)}:${endpoint.port}`;
}

/** As in an authority: IPv6 in brackets, an absolute name with its dot. `parseHost` reads it back. */
export function formatHost(host: Host): string {
  return host.kind === "ip" && host.ip.family === 6 ? `[${host.text}]` : formatName(host);
}

/** Whether both are the same name or the same address. A name and an address never are. */
export function sameHost(a: Host, b: Host): boolean {
  return a.kind === b.kind && a.text === b.text;
}

/** What `code` means, for people: a clause without capital or full stop. */
export function describeEndpointError(code: EndpointErrorCode): string {
  switch (code) {
    case "userinfo":
    case "port_missing":
    case "port_invalid":
      return problems[code];
    default:
      return describeHostError(code);
  }
}

function parseHostAndPort(text: string, defaultPort: number | undefined): EndpointResult {
  if (text.includes("@")) return refuse("userinfo");
  const colon = findPortColon(text);
  const parsed = parseHost(colon < 0 ? text : text.slice(0, colon));
  if (!parsed.ok) return parsed;
  const written = colon < 0 ? "" : text.slice(colon + 1);
  if (written === "") {
    return defaultPort === undefined
      ? refuse("port_missing")
      : { ok: true, endpoint: { host: parsed.host, port: defaultPort } };
  }
  const port = parsePort(written);
  return port === undefined ? refuse("port_invalid") : { ok: true, endpoint: { host: parsed.host, port } };
}

/** Where the colon before the port is, or -1. After a closing bracket only the very next character can be it. */
function findPortColon(text: string): number {
  if (!text.startsWith("[")) return text.lastIndexOf(":");
  const close = text.indexOf("]");
  return close >= 0 && text[close + 1] === ":" ? close + 1 : -1;
}

/** Digits only, one spelling per port: no sign, no space, no leading zero. */
function parsePort(text: string): number | undefined {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65535 ? port : undefined;
}

function refuse(code: EndpointErrorCode): EndpointResult {
  return { ok: false, code };
}
