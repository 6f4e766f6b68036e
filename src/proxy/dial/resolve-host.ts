import type { Host } from "../../address/host.ts";
import { type Ip, ipFromBytes } from "../../address/ip.ts";
import type { Lookup, Resolver } from "../../net/dns.ts";
import { fail, type Failure, type Outcome, succeed } from "../failure.ts";
import { isLocalhostName } from "../policy/guard.ts";

const LOOPBACK_4 = ipFromBytes(Uint8Array.of(127, 0, 0, 1));
const LOOPBACK_6 = ipFromBytes(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));

/**
 * Asks for the addresses of one family of a name: one question, no deadline.
 * `localhost` and names below it are loopback and nobody is asked.
 */
export function lookUpName(name: string, family: 4 | 6, resolver: Resolver): Lookup | Promise<Lookup> {
  if (isLocalhostName(name)) return { ok: true, addresses: [family === 4 ? LOOPBACK_4 : LOOPBACK_6] };
  return resolver.lookup(name, family);
}

/**
 * Gives all addresses of a host, IPv6 first, at least one; an address is its
 * own. Fails with `dns_error`, or `dns_timeout` after `timeoutMs` milliseconds.
 */
export async function resolveHost(host: Host, resolver: Resolver, timeoutMs: number): Promise<Outcome<readonly Ip[]>> {
  if (host.kind === "ip") return succeed([host.ip]);
  const questions = [lookUpName(host.text, 6, resolver), lookUpName(host.text, 4, resolver)];
  let timer: Timer | undefined;
  const answers = await Promise.race([
    Promise.all(questions),
    new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, undefined);
    }),
  ]);
  clearTimeout(timer);
  if (answers === undefined) return fail("dns_timeout");
  const addresses = answers.flatMap((answer) => (answer.ok ? answer.addresses : []));
  return addresses.length > 0 ? succeed(addresses) : { ok: false, failure: explainLookups(answers) };
}

/** Why no question led to an address: what went wrong says more than "there is none". */
export function explainLookups(answers: readonly Lookup[]): Failure {
  let found: Failure = { detail: "dns_error" };
  for (const answer of answers) {
    if (answer.ok) continue;
    const failure: Failure = { detail: answer.detail, note: answer.note };
    if (found.note === undefined || answer.note !== NOT_FOUND) found = failure;
    if (answer.detail === "dns_timeout") return failure;
  }
  return found;
}

/** What a resolver notes about a name that does not exist, or has no address of that family. */
const NOT_FOUND = "ENOTFOUND";
