import type { Ip } from "../../address/ip.ts";
import type { Lookups } from "../../net/dns/resolver.ts";
import type { Questions } from "../dial/connect-race.ts";

/** Both families of a lookup, in the form of questions: AAAA first, A right after it (RFC 8305 §3). */
export function askFamilies(lookups: Lookups): Questions {
  return [
    { family: 6, answer: lookups[6] },
    { family: 4, answer: lookups[4] },
  ];
}

/** Addresses that are known already, in the form of an answered question. */
export function answerWith(addresses: readonly Ip[]): Questions {
  return [{ family: 6, answer: { ok: true, name: "", addresses } }];
}
