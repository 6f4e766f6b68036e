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

/** Answers that are known already, in the form of questions. */
export function groupByFamily(addresses: readonly Ip[]): Questions {
  return ([6, 4] as const).flatMap((family) => {
    const members = addresses.filter((ip) => ip.family === family);
    return members.length === 0 ? [] : [{ family, answer: { ok: true, name: "", addresses: members } }];
  });
}
