import type { Ip } from "../../address/ip.ts";
import { fail, type Failure } from "../failure.ts";
import { classifyThrough, type Nat64Prefixes, WELL_KNOWN_PREFIX } from "./nat64.ts";
import type { AllowDecision } from "./decision.ts";

/** The addresses that this proxy itself listens on. */
export interface OwnListeners {
  has(ip: Ip, port: number): boolean;
}

/**
 * Says why `ip` must not be dialled for this decision, or undefined when it may.
 *
 * - Our own listeners never: a proxy that dials itself loops.
 * - A public address always.
 * - A special-purpose address only when the rule has `allowPrivate`.
 * - A metadata address, which gives out a cloud's credentials, only when that rule
 *   also names the one address: `169.254.0.0/16` does not open it.
 *
 * An address behind a translator (`nat64`) is judged by the IPv4 address inside.
 */
export function guardAddress(
  ip: Ip,
  port: number,
  decision: AllowDecision,
  { own, nat64 = WELL_KNOWN_PREFIX }: { readonly own: OwnListeners; readonly nat64?: Nat64Prefixes | undefined },
): Failure | undefined {
  if (own.has(ip, port)) return fail("proxy_loop", { note: ip.text }).failure;
  const { kind, inside } = classifyThrough(ip, nat64);
  if (inside !== undefined && own.has(inside, port)) return fail("proxy_loop", { note: ip.text }).failure;
  if (kind === "public") return undefined;
  if (decision.allowPrivate && (kind !== "metadata" || decision.exactAddress === true)) return undefined;
  const what = inside === undefined ? ip.text : `${inside.text} inside ${ip.text}`;
  return fail("address_prohibited", { note: `${what} is ${kind}` }).failure;
}
