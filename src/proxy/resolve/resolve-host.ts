import type { Host } from "../../address/host.ts";
import { type Ip, ipFromBytes } from "../../address/ip.ts";
import {
  knowLookups,
  type Lookup,
  type Lookups,
  type NamedHost,
  NOT_FOUND,
  type Resolver,
} from "../../net/dns/resolver.ts";
import { fail, type Failure, type Outcome, succeed } from "../failure.ts";
import type { TimeLimit } from "../../net/conn/time-limit.ts";
import type { TraceScope } from "../trace/request-trace.ts";
import { traceLookups } from "./trace-lookups.ts";

/** Milliseconds to wait for the second family after the first one answered (RFC 8305 §3 and §8). */
export const RESOLUTION_DELAY_MS = 50;

const LOCALHOST = "localhost";
const LOOPBACK = knowLookups(
  { ok: true, name: LOCALHOST, addresses: [ipFromBytes(Uint8Array.of(127, 0, 0, 1))] },
  {
    ok: true,
    name: LOCALHOST,
    addresses: [ipFromBytes(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1))],
  },
);

/** `localhost` and every name below it mean loopback, whatever DNS says (RFC 6761 §6.3). */
export function isLocalhostName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

/** Looks a name up for `client`. `localhost` and names below it are loopback without a question to DNS. */
export function lookUpName(host: NamedHost, resolver: Resolver, client?: Ip, trace?: TraceScope): Lookups {
  if (isLocalhostName(host.text)) return LOOPBACK;
  return trace === undefined
    ? resolver.find(host, client)
    : traceLookups(host, () => resolver.find(host, client), trace);
}

/** Looks a host up. An address is its own answer. */
export function lookUpHost(host: Host, resolver: Resolver, client?: Ip, trace?: TraceScope): Lookups {
  if (host.kind === "name") return lookUpName(host, resolver, client, trace);
  const own: Lookup = { ok: true, name: "", addresses: [host.ip] };
  const none: Lookup = { ok: false, detail: "dns_error", note: NOT_FOUND };
  return host.ip.family === 4 ? knowLookups(own, none) : knowLookups(none, own);
}

/** What is known of a name when waiting for more is not worth it. */
export interface Gathered {
  /** The answers that came, IPv6 first. */
  readonly answers: readonly Lookup[];
  /** The family that has not answered. */
  readonly missing: { readonly family: 4 | 6; readonly answer: Promise<Lookup> } | undefined;
}

/**
 * Waits for the addresses of both families. When one family has answered, the
 * other one has `delayMs` (RFC 8305 §3). `limit` ends the wait.
 */
export function gather(lookups: Lookups, limit: TimeLimit, delayMs = RESOLUTION_DELAY_MS): Promise<Gathered> {
  return new Promise((resolve) => {
    const known: Partial<Record<4 | 6, Lookup>> = {};
    let timer: Timer | undefined;
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      limit.forget();
      resolve(describe(known, lookups));
    };
    const take = (family: 4 | 6, lookup: Lookup): void => {
      known[family] = lookup;
      if (known[4] !== undefined && known[6] !== undefined) end();
      else if (lookup.ok && !over) timer ??= setTimeout(end, delayMs);
    };
    for (const family of [6, 4] as const) {
      const answer = lookups[family];
      if (answer instanceof Promise) void answer.then((lookup) => take(family, lookup));
      else take(family, answer);
    }
    if (!over) limit.whenOver(end);
  });
}

function describe(known: Partial<Record<4 | 6, Lookup>>, lookups: Lookups): Gathered {
  const answers = [known[6], known[4]].filter((lookup) => lookup !== undefined);
  const family: 4 | 6 = known[6] === undefined ? 6 : 4;
  const answer = lookups[family];
  const missing = known[family] === undefined && answer instanceof Promise ? ({ family, answer } as const) : undefined;
  return { answers, missing };
}

/** Gives all addresses of a host, IPv6 first, at least one; or the failure that explains why there is none. */
export async function resolveHost(
  host: Host,
  resolver: Resolver,
  limit: TimeLimit,
  client?: Ip,
  trace?: TraceScope,
): Promise<Outcome<readonly Ip[]>> {
  if (host.kind === "ip") return succeed([host.ip]);
  const lookups = lookUpName(host, resolver, client, trace);
  const { answers } = await gather(lookups, limit);
  lookups.release();
  const addresses = listAddresses(answers);
  if (addresses.length > 0) return succeed(addresses);
  if (limit.over === "client_gone") return fail("client_gone");
  return limit.over === "deadline" ? fail("dns_timeout") : { ok: false, failure: explainLookups(answers) };
}

export function listAddresses(answers: readonly Lookup[]): Ip[] {
  return answers.flatMap((answer) => (answer.ok ? answer.addresses : []));
}

/** Explains why no question gave an address. A failed question says more than a name that does not exist. */
export function explainLookups(answers: readonly Lookup[]): Failure {
  let found: Failure = { detail: "dns_error" };
  for (const answer of answers) {
    if (answer.ok) continue;
    const failure: Failure =
      answer.detail === "too_many_lookups"
        ? { detail: answer.detail, retryAfterSeconds: 1 }
        : { detail: answer.detail, note: answer.note };
    if (found.note === undefined || answer.note !== NOT_FOUND) found = failure;
    if (answer.detail !== "dns_error") return failure;
  }
  return found;
}
