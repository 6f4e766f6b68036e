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

/** What a token may allow. */
export type Permission = "read" | "operate" | "capture";

/** A bearer token of the sidecar, and what it allows. */
export interface SidecarToken {
  /** Undefined for the token that may do everything. */
  readonly name?: string;
  readonly token: Secret;
  readonly may: ReadonlySet<Permission>;
}

/** Lets through who may do something: look at the proxy; end tunnels, drain, reload and so on; record what clients send. */
export type Guards = Readonly<Record<Permission, MiddlewareHandler>>;

/** Makes the guards of all routes from the tokens; without a token everything is refused. */
export function createGuards(tokens: readonly SidecarToken[]): Guards {
  const find = findToken(tokens);
  return {
    read: guardToken(find, "read"),
    operate: guardToken(find, "operate"),
    capture: guardToken(find, "capture"),
  };
}

/**
 * Lets through who may have the address of a sidecar that leaves. Without a token
 * the sidecar is on loopback or a Unix socket and shows nothing but health, and
 * where no token may operate a successor has no better one.
 */
export function guardSuccessor(tokens: readonly SidecarToken[], guards: Guards): MiddlewareHandler {
  if (tokens.length === 0) return (_, next) => next();
  return tokens.some(({ may }) => may.has("operate")) ? guards.operate : guardToken(findToken(tokens), undefined);
}

/** Finds the token that somebody presents; undefined where there are none at all. */
type FindToken = ((presented: string) => SidecarToken | undefined) | undefined;

function findToken(tokens: readonly SidecarToken[]): FindToken {
  if (tokens.length === 0) return undefined;
  const known = tokens.map((entry) => ({ entry, digest: digest(entry.token.reveal()) }));
  return (presented) => {
    const wanted = digest(presented);
    // Digests have one length, and all are compared: the time tells neither the length nor which token it is.
    const found = known.filter(({ digest: expected }) => timingSafeEqual(wanted, expected));
    return found[0]?.entry;
  };
}

/** Requires a token with a permission, or any token. */
function guardToken(find: FindToken, permission: Permission | undefined): MiddlewareHandler {
  if (find === undefined)
    return async () => answerProblem(403, 'This needs a token, and none is configured. Set "sidecar.token".');
  return async (context, next) => {
    const field = context.req.header("Authorization");
    if (field === undefined) return challenge(401, "This needs the bearer token of the sidecar.", "");
    // RFC 6750 §2.1; the scheme is case-insensitive (RFC 9110 §11.1).
    const presented = /^bearer +([\x21-\x7e]+) *$/i.exec(field)?.[1];
    const found = presented === undefined ? undefined : find(presented);
    if (found === undefined) return challenge(401, "The bearer token is wrong.", ', error="invalid_token"');
    if (permission === undefined || found.may.has(permission)) return next();
    return challenge(403, describeForbidden(found, permission), `, error="insufficient_scope", scope="${permission}"`);
  };
}

/** The holder of a token learns what it is called and what it may do. */
function describeForbidden({ name, may }: SidecarToken, permission: Permission): string {
  const allowed = [...may].join(" and ");
  return `The token ${JSON.stringify(name)} may ${allowed}. This needs one that may ${permission}: see "may" in "sidecar.tokens".`;
}

function challenge(status: 401 | 403, detail: string, parameters: string): Response {
  return answerProblem(status, detail, { "WWW-Authenticate": `Bearer realm="penstock sidecar"${parameters}` });
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

function readHost(text: string): Host[] {
  const result = toAsciiHost(text);
  return result.ok ? [result.host] : [];
}
