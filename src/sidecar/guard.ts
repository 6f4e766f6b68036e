import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { parseHostField, sameHost } from "../address/endpoint.ts";
import { type Host, toAsciiHost } from "../address/host.ts";
import type { Secret } from "../secret.ts";
import { answerProblem } from "./problem.ts";

/**
 * Refuses requests whose Host field has a foreign name. A web page that points its
 * own name at this address (DNS rebinding) is refused, because its browser sends
 * that name. Literal addresses are safe, and browsers always send a Host field.
 */
export function guardHost(allowedHosts: readonly string[]): MiddlewareHandler {
  const allowed = ["localhost", ...allowedHosts].flatMap(readHost);
  return async (context, next) => {
    const field = context.req.header("Host");
    if (field === undefined) return next();
    const parsed = parseHostField(field, 80);
    if (parsed.ok) {
      const { host } = parsed.endpoint;
      if (host.kind === "ip" || allowed.some((ours) => sameHost(ours, host))) return next();
    }
    return answerProblem(
      403,
      'The Host field does not name this sidecar. Use its address, localhost or the name of the machine, or set "sidecar.allowedHosts".',
    );
  };
}

/** Requires the token; without a configured token everything is refused. */
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
    // Digests have one length, so the comparison does not reveal the token's length.
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

function readHost(text: string): Host[] {
  const result = toAsciiHost(text);
  return result.ok ? [result.host] : [];
}
