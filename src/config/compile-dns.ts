import { parseCidr } from "../address/cidr.ts";
import { type Nat64Prefixes, WELL_KNOWN_PREFIX } from "../proxy/policy/nat64.ts";
import type { Config } from "./schema.ts";

/** The prefixes of all translators, the longest first: a network's own may be within another one. The schema has accepted them. */
export function compileNat64(nat64: NonNullable<Config["dns"]["nat64"]>): Nat64Prefixes {
  const own = (typeof nat64 === "string" ? [nat64] : nat64).map((text) => {
    const parsed = parseCidr(text);
    if (!parsed.ok) throw new Error(`The prefix ${text} is unchecked`);
    return parsed.cidr;
  });
  return [...own, ...WELL_KNOWN_PREFIX].sort((a, b) => b.prefix - a.prefix);
}
