import { hostFromIp } from "../../address/host.ts";
import { evaluate } from "./decide.ts";
import { findTranslated, type Nat64Prefixes } from "./nat64.ts";
import type { Evaluation, Policy, Query } from "./policy.ts";

/**
 * Walks the rules as `evaluate` does. An address behind a translator is also the
 * IPv4 address inside: the first rule that matches either decides, so that no
 * range can be got round by writing its addresses another way.
 */
export function evaluateAddress(policy: Policy, query: Query, nat64: Nat64Prefixes, from = 0): Evaluation {
  const { host, port } = query.target;
  const address = host.kind === "ip" ? host.ip : query.address;
  const inside = address && findTranslated(address, nat64);
  const outer = evaluate(policy, query, from);
  if (inside === undefined) return outer;
  const inner = evaluate(
    policy,
    host.kind === "ip" ? { ...query, target: { host: hostFromIp(inside), port } } : { ...query, address: inside },
    from,
  );
  return (inner.rule ?? Infinity) < (outer.rule ?? Infinity) ? inner : outer;
}
