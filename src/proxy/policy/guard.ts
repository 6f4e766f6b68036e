import type { Ip } from "../../address/ip.ts";
import { fail, type Failure } from "../failure.ts";
import { classifyThrough, type Nat64Prefixes, WELL_KNOWN_PREFIX } from "./nat64.ts";
import type { AllowDecision } from "./decision.ts";

/** Knows where this very proxy answers. */
export interface OwnListeners {
  has(ip: Ip, port: number): boolean;
}

/**
 * Says why `ip` must not be dialled for this decision, or undefined when it may.
 *
 * - Our own listeners never: a proxy that calls itself calls for ever.
 * - A public address always.
 * - A special-purpose one only when the rule has `allowPrivate`.
 * - A metadata address, where a cloud hands out credentials, only when that rule
 *   also names the very address: `169.254.0.0/16` is not meant to open it.
 *
 * An address behind a translator (`nat64`) is judged by the IPv4 address inside.
 */
export function guardAddress(
  ip: Ip,
  port: number,
  decision: AllowDecision,
  own: OwnListeners,
  nat64: Nat64Prefixes = WELL_KNOWN_PREFIX,
): Failure | undefined {
  if (own.has(ip, port)) return fail("proxy_loop", { note: ip.text }).failure;
  const { kind, inside } = classifyThrough(ip, nat64);
  if (inside !== undefined && own.has(inside, port)) return fail("proxy_loop", { note: ip.text }).failure;
  if (kind === "public") return undefined;
  if (decision.allowPrivate && (kind !== "metadata" || decision.exactAddress === true)) return undefined;
  const what = inside === undefined ? ip.text : `${inside.text} inside ${ip.text}`;
  return fail("address_prohibited", { note: `${what} is ${kind}` }).failure;
}
