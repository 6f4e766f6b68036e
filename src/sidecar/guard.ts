import { createHash, timingSafeEqual } from "node:crypto";
import type { Context, Env, MiddlewareHandler } from "hono";
import { parseHostField, sameHost } from "../address/endpoint.ts";
import { type Host, toAsciiHost } from "../address/host.ts";
import type { Secret } from "../secret.ts";
import { answerProblem } from "./problem.ts";
import { isFromHere } from "./same-site.ts";
import type { TokenThrottle } from "./token-throttle.ts";

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

/** Lets through who may look at the proxy, operate it (end tunnels, drain, reload), and record what clients send. */
export type Guards = Readonly<Record<Permission, MiddlewareHandler>>;

/** What a handler behind the guard `holder` has. */
export interface HolderEnv {
  readonly Variables: { holder: SidecarToken };
}

/** What guards need beside the tokens. */
export interface GuardOptions {
  readonly throttle: TokenThrottle;
  /** Names of the sidecar under which its page may be open, beside the one in the Host field. */
  readonly names: readonly string[];
}

/**
 * Makes the guards of all routes from the tokens; without a token everything is
 * refused. `holder` lets any token through, and says which it is. `successor` lets through who may have the address of a sidecar that
 * leaves. Without a token the sidecar is on loopback or a Unix socket and shows
 * nothing but health, and where no token may operate a successor has no better one.
 */
export function createGuards(
  tokens: readonly SidecarToken[],
  options: GuardOptions,
): Guards & { readonly successor: MiddlewareHandler; readonly holder: MiddlewareHandler<HolderEnv> } {
  const find = findToken(tokens);
  const guard = (permission?: Permission) => guardToken(find, permission, options);
  const [read, operate, capture] = [guard("read"), guard("operate"), guard("capture")];
  const isOperated = tokens.some(({ may }) => may.has("operate"));
  const holder = guardToken(find, undefined, options, (context: Context<HolderEnv>, token) =>
    context.set("holder", token),
  );
  return { read, operate, capture, holder, successor: tokens.length === 0 ? letPass : isOperated ? operate : guard() };
}

const letPass: MiddlewareHandler = (_, next) => next();

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
function guardToken<E extends Env = Env>(
  find: FindToken,
  permission: Permission | undefined,
  { throttle, names }: GuardOptions,
  passed?: (context: Context<E>, token: SidecarToken) => void,
): MiddlewareHandler<E> {
  if (find === undefined)
    return async () => answerProblem(403, 'This needs a token, and none is configured. Set "sidecar.token".');
  const hosts = names.flatMap(readHost);
  return async (context, next) => {
    const [host, origin, fetchSite] = ["Host", "Origin", "Sec-Fetch-Site"].map((name) => context.req.header(name));
    if (!isFromHere({ host, origin, fetchSite }, hosts)) return answerProblem(403, FOREIGN_PAGE);
    const field = context.req.header("Authorization");
    if (field === undefined) return challenge(401, "This needs the bearer token of the sidecar.", "");
    const peer = readPeer(context.env);
    const delayMs = throttle.delay(peer);
    if (delayMs > 0)
      return answerProblem(429, "Too many wrong tokens came from this address. It is not listened to for a while.", {
        "Retry-After": String(Math.ceil(delayMs / 1000)),
      });
    // RFC 6750 §2.1; the scheme is case-insensitive (RFC 9110 §11.1).
    const presented = /^bearer +([\x21-\x7e]+) *$/i.exec(field)?.[1];
    const found = presented === undefined ? undefined : find(presented);
    if (found === undefined) {
      throttle.fail(peer);
      return challenge(401, "The bearer token is wrong.", ', error="invalid_token"');
    }
    if (permission !== undefined && !found.may.has(permission))
      return challenge(
        403,
        describeForbidden(found, permission),
        `, error="insufficient_scope", scope="${permission}"`,
      );
    passed?.(context, found);
    return next();
  };
}

/** A browser sends a token only for a page that has it: this stops what such a page could be made to do. */
const FOREIGN_PAGE = "The request comes from the page of another site, which may not use this sidecar.";

/** The network that a request comes from; one for all where the server does not tell. */
function readPeer(environment: unknown): string {
  const isTold = typeof environment === "object" && environment !== null && "peer" in environment;
  return isTold && typeof environment.peer === "string" ? environment.peer : "";
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
