import { type Cidr, containsIp, parseCidr } from "../../address/cidr.ts";
import { type Ip, ipFromBytes } from "../../address/ip.ts";
import { type AddressClass, classifyAddress } from "./address-class.ts";

/** The prefix lengths that a translator may use (RFC 6052 §2.2), and where the IPv4 address is: bits 64 to 71 are left out. */
const slots: Readonly<Record<number, readonly [number, number, number, number]>> = {
  32: [4, 5, 6, 7],
  40: [5, 6, 7, 9],
  48: [6, 7, 9, 10],
  56: [7, 9, 10, 11],
  64: [9, 10, 11, 12],
  96: [12, 13, 14, 15],
};

/** Prefixes of translators: what is behind them is IPv4. */
export type Nat64Prefixes = readonly Cidr[];

/** RFC 6052 §2.1. Every translator of the internet has it; `64:ff9b:1::/48` (RFC 8215) is for uses that only its network knows. */
export const WELL_KNOWN_PREFIX: Nat64Prefixes = [readPrefix("64:ff9b::/96")];

/** Whether a range can be the prefix of a translator. */
export function isNat64Prefix({ family, prefix, base }: Cidr): boolean {
  return family === 6 && prefix in slots && base[8] === 0;
}

/** The IPv4 address that a translator turns `ip` into; undefined when it is not behind one of the prefixes. */
export function findTranslated(ip: Ip, prefixes: Nat64Prefixes): Ip | undefined {
  if (ip.family === 4) return undefined;
  for (const cidr of prefixes) {
    const at = slots[cidr.prefix];
    if (at === undefined || !containsIp(cidr, ip)) continue;
    return ipFromBytes(Uint8Array.from(at, (index) => ip.bytes[index] ?? 0));
  }
  return undefined;
}

/** The class of an address; that of the IPv4 address inside when a translator is on the way. */
export function classifyThrough(
  ip: Ip,
  prefixes: Nat64Prefixes,
): { readonly kind: AddressClass; readonly inside?: Ip } {
  const inside = findTranslated(ip, prefixes);
  return inside === undefined ? { kind: classifyAddress(ip) } : { kind: classifyAddress(inside), inside };
}

function readPrefix(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`"${text}" ${parsed.reason}`);
  return parsed.cidr;
}
