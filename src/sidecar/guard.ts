import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { parseHostField, sameHost } from "../address/endpoint.ts";
import { type Host, toAsciiHost } from "../address/host.ts";
import { classifyAddress } from "../proxy/policy/address-class.ts";
import type { Secret } from "../proxy/auth/secret.ts";
import { answerProblem } from "./problem.ts";

/** What the Host field may name. */
export interface HostPolicy {
  /** The address that the sidecar binds. */
  readonly boundHost: string;
  /** Further names, for instance of a reverse proxy in front. */
  readonly allowedHosts: readonly string[];
}

/**
 * Refuses requests whose Host field names something else. A web page that
 * points its own name at a loopback address (DNS rebinding) gets no further:
 * its browser sends that name.
 */
export function guardHost({ boundHost, allowedHosts }: HostPolicy): MiddlewareHandler {
  const allowed = [boundHost, ...allowedHosts].flatMap(readHost);
  const boundEverywhere = allowed.some((host) => host.kind === "ip" && classifyAddress(host.ip) === "unspecified");
  return async (context, next) => {
    const field = context.req.header("Host") ?? new URL(context.req.url).host;
    const parsed = parseHostField(field, 80);
    if (parsed.ok) {
      const { host } = parsed.endpoint;
      // Nobody can rebind an address literal; which one leads to a wildcard socket is not known here.
      const isOurs =
        isLoopback(host) || allowed.some((ours) => sameHost(ours, host)) || (boundEverywhere && host.kind === "ip");
      if (isOurs) return next();
    }
    return answerProblem(403, "The Host field does not name this sidecar. Use its address, or localhost.");
  };
}

/** Lets only holders of the token through; without a configured token, nobody. */
export function guardToken(token: Secret | undefined): MiddlewareHandler {
  if (token === undefined) {
    return async () => answerProblem(403, 'This needs a token, and none is configured. Set "sidecar.token".');
  }
  const expected = digest(token.reveal());
  return async (context, next) => {
    const field = context.req.header("Authorization");
    if (field === undefined) return challenge("This needs the bearer token of the sidecar.", "");
    // RFC 6750 §2.1; the scheme is case-insensitive (RFC 9110 §11.1).
    const presented = /^bearer +([\x21-\x7e]+) *$/i.exec(field)?.[1];
    // Digests have one length, so the comparison tells nothing of the token's.
    if (presented !== undefined && timingSafeEqual(digest(presented), expected)) return next();
    return challenge("The bearer token is wrong.", ', error="invalid_token"');
  };
}

function challenge(detail: string, parameters: string): Response {
  return answerProblem(401, detail, { "WWW-Authenticate": `Bearer realm="penstock sidecar"${parameters}` });
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

function isLoopback(host: Host): boolean {
  return host.kind === "ip" ? classifyAddress(host.ip) === "loopback" : host.text === "localhost";
}

function readHost(text: string): Host[] {
  const result = toAsciiHost(text);
  return result.ok ? [result.host] : [];
}
