import type * as z from "zod";

import { parseCidr } from "../address/cidr.ts";
import { isNat64Prefix, type Nat64Prefixes, WELL_KNOWN_PREFIX } from "../proxy/policy/nat64.ts";
import { either, list, parsed, readCidrs, settings } from "./fields.ts";

/** A range that a NAT64 translator can have as its prefix (RFC 6052 §2.2). */
function nat64Prefix() {
  return parsed('the prefix of a NAT64 translator such as "2001:db8:64::/96"', parseCidr, (range) =>
    isNat64Prefix(range.cidr)
      ? undefined
      : "is not the prefix of a NAT64 translator. Write an IPv6 range of 32, 40, 48, 56, 64 or 96 bits with bits 64 to 71 zero, such as 2001:db8:64::/96",
  );
}

const wanted = 'a prefix such as "2001:db8:64::/96", or a list of them';

/** Settings about names and addresses of the network. */
export const dnsSchema = settings({
  nat64: either(wanted, [nat64Prefix(), list(nat64Prefix(), wanted)])
    .describe(
      "Prefixes of the network's NAT64 translators (RFC 6052), beside the well-known `64:ff9b::/96`: their addresses are judged by the IPv4 address inside.",
    )
    .optional(),
})
  .describe("Names and their addresses.")
  .prefault({});

/** The prefixes of all translators, the longest first: one may contain another. */
export function compileNat64(nat64: NonNullable<z.output<typeof dnsSchema>["nat64"]>): Nat64Prefixes {
  const own = readCidrs(typeof nat64 === "string" ? [nat64] : nat64);
  return [...own, ...WELL_KNOWN_PREFIX].sort((a, b) => b.prefix - a.prefix);
}
