import type { Host } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";
import type { Resolver } from "../../net/dns.ts";
import type { Questions } from "./connect-race.ts";
import { lookUpName } from "./resolve-host.ts";

/** Asks for the addresses of a host, family by family; an address is its own. */
export function askAddresses(host: Host, resolver: Resolver): Questions {
  if (host.kind === "ip") return groupByFamily([host.ip]);
  // RFC 8305 §3: AAAA first, A right after it.
  return [
    { family: 6, answer: lookUpName(host.text, 6, resolver) },
    { family: 4, answer: lookUpName(host.text, 4, resolver) },
  ];
}

/** Answers that are known already, in the form of questions. */
export function groupByFamily(addresses: readonly Ip[]): Questions {
  return ([6, 4] as const).flatMap((family) => {
    const members = addresses.filter((ip) => ip.family === family);
    return members.length === 0 ? [] : [{ family, answer: { ok: true, addresses: members } }];
  });
}
