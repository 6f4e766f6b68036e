import { type Cidr, containsIp, parseCidr } from "../../address/cidr.ts";
import { type Ip, ipFromBytes } from "../../address/ip.ts";

/** What kind of address it is. Everything but `public` is refused unless a rule allows it. */
export type AddressClass =
  /** Globally reachable unicast: the internet. */
  | "public"
  /** "This network" and `::`: the machine itself, to most stacks. */
  | "unspecified"
  | "loopback"
  | "private"
  | "link-local"
  /** Deprecated predecessor of unique-local. */
  | "site-local"
  | "unique-local"
  /** Shared address space between a carrier and its customers. */
  | "cgnat"
  | "multicast"
  | "broadcast"
  | "documentation"
  | "benchmarking"
  /** Where a cloud hands out credentials to its machines. */
  | "metadata"
  /** IPv6 that a translator or relay turns into the IPv4 address inside it. `findTranslated` finds it where the prefix is known. */
  | "nat64"
  | "6to4"
  | "teredo"
  | "ipv4-embedded"
  /** Assigned to protocols, not to hosts. */
  | "protocol-assignments"
  | "as112"
  | "amt"
  | "discard"
  | "dummy"
  | "orchid"
  | "drone-id"
  | "segment-routing"
  /** Not assigned to anything that could be meant. */
  | "reserved";

/**
 * The one table of special ranges: the IANA IPv4 and IPv6 Special-Purpose Address
 * Registries (RFC 6890, RFC 8190 and additions up to 2025), multicast, the cloud
 * metadata addresses, and all of IPv6 outside 2000::/3. The most specific range
 * wins. Ranges of the registries inside one of the same class are not repeated.
 * ::ffff:0:0/96 is missing because `Ip` holds no IPv4-mapped address.
 */
export const specialRanges: readonly (readonly [
  range: string,
  kind: Exclude<AddressClass, "public">,
  source: string,
])[] = [
  ["0.0.0.0/8", "unspecified", "RFC 791 §3.2"],
  ["10.0.0.0/8", "private", "RFC 1918"],
  ["100.64.0.0/10", "cgnat", "RFC 6598"],
  ["127.0.0.0/8", "loopback", "RFC 1122 §3.2.1.3"],
  ["169.254.0.0/16", "link-local", "RFC 3927"],
  ["172.16.0.0/12", "private", "RFC 1918"],
  ["192.0.0.0/24", "protocol-assignments", "RFC 6890 §2.1"],
  ["192.0.2.0/24", "documentation", "RFC 5737"],
  ["192.31.196.0/24", "as112", "RFC 7535"],
  ["192.52.193.0/24", "amt", "RFC 7450"],
  ["192.88.99.0/24", "6to4", "RFC 7526"],
  ["192.168.0.0/16", "private", "RFC 1918"],
  ["192.175.48.0/24", "as112", "RFC 7534"],
  ["198.18.0.0/15", "benchmarking", "RFC 2544"],
  ["198.51.100.0/24", "documentation", "RFC 5737"],
  ["203.0.113.0/24", "documentation", "RFC 5737"],
  ["224.0.0.0/4", "multicast", "RFC 5771"],
  ["240.0.0.0/4", "reserved", "RFC 1112 §4"],
  ["255.255.255.255/32", "broadcast", "RFC 919 §7"],

  ["::/3", "reserved", "RFC 4291 §2.4"],
  ["::/96", "ipv4-embedded", "RFC 4291 §2.5.5.1, IPv4-compatible"],
  ["::/128", "unspecified", "RFC 4291 §2.5.2"],
  ["::1/128", "loopback", "RFC 4291 §2.5.3"],
  ["::ffff:0:0:0/96", "ipv4-embedded", "RFC 2765 §2.1, IPv4-translated"],
  ["64:ff9b::/96", "nat64", "RFC 6052"],
  ["64:ff9b:1::/48", "nat64", "RFC 8215"],
  ["100::/64", "discard", "RFC 6666"],
  ["100:0:0:1::/64", "dummy", "RFC 9780"],
  ["2001::/23", "protocol-assignments", "RFC 2928"],
  ["2001::/32", "teredo", "RFC 4380"],
  ["2001:2::/48", "benchmarking", "RFC 5180"],
  ["2001:3::/32", "amt", "RFC 7450"],
  ["2001:4:112::/48", "as112", "RFC 7535"],
  ["2001:10::/28", "orchid", "RFC 4843"],
  ["2001:20::/28", "orchid", "RFC 7343"],
  ["2001:30::/28", "drone-id", "RFC 9374"],
  ["2001:db8::/32", "documentation", "RFC 3849"],
  ["2002::/16", "6to4", "RFC 3056"],
  ["2620:4f:8000::/48", "as112", "RFC 7534"],
  ["3fff::/20", "documentation", "RFC 9637"],
  ["4000::/2", "reserved", "RFC 4291 §2.4"],
  ["5f00::/16", "segment-routing", "RFC 9602"],
  ["8000::/1", "reserved", "RFC 4291 §2.4"],
  ["fc00::/7", "unique-local", "RFC 4193"],
  ["fe80::/10", "link-local", "RFC 4291 §2.5.6"],
  ["fec0::/10", "site-local", "RFC 3879"],
  ["ff00::/8", "multicast", "RFC 4291 §2.7"],

  ["169.254.169.254/32", "metadata", "AWS, Google Cloud, Azure, Oracle Cloud and most others"],
  ["169.254.170.2/32", "metadata", "AWS ECS task credentials"],
  ["169.254.170.23/32", "metadata", "AWS EKS Pod Identity"],
  ["169.254.42.42/32", "metadata", "Scaleway"],
  ["169.254.0.23/32", "metadata", "Tencent Cloud"],
  ["100.100.100.200/32", "metadata", "Alibaba Cloud"],
  ["168.63.129.16/32", "metadata", "Azure WireServer, a public address that only Azure's hosts answer"],
  ["192.0.0.192/32", "metadata", "Oracle Cloud Classic"],
  ["fd00:ec2::254/128", "metadata", "AWS"],
  ["fd00:ec2::23/128", "metadata", "AWS EKS Pod Identity"],
  ["fd20:ce::254/128", "metadata", "Google Cloud"],
  ["fd00:c1::a9fe:a9fe/128", "metadata", "Oracle Cloud"],
  ["fd00:42::42/128", "metadata", "Scaleway"],
];

interface Special {
  readonly cidr: Cidr;
  readonly kind: AddressClass;
}

/** Per family and first byte the ranges that can hold such an address, the most specific first. */
const compiled = { 4: compileRanges(4), 6: compileRanges(6) } as const;

/** The class of an address, from the address alone. */
export function classifyAddress(ip: Ip): AddressClass {
  const candidates = compiled[ip.family][ip.bytes[0] ?? 0];
  if (candidates) {
    for (const { cidr, kind } of candidates) if (containsIp(cidr, ip)) return kind;
  }
  return ip.family === 6 && reachesInside(ip.bytes) ? "ipv4-embedded" : "public";
}

/** Whether the address is on the internet, and so may be dialled without a rule that allows it. */
export function isPublic(ip: Ip): boolean {
  return classifyAddress(ip) === "public";
}

/**
 * ISATAP (RFC 5214 §6.1) works under any prefix: the interface identifier is
 * 0000:5efe or 0200:5efe and then the IPv4 address that the packet is sent to.
 * The group bit beside the "universal" bit is ignored.
 */
function reachesInside(bytes: Uint8Array): boolean {
  if (((bytes[8] ?? 0) & 0xfc) !== 0 || bytes[9] !== 0 || bytes[10] !== 0x5e || bytes[11] !== 0xfe) return false;
  return !isPublic(ipFromBytes(bytes.subarray(12)));
}

function compileRanges(family: 4 | 6): readonly (readonly Special[] | undefined)[] {
  const byFirstByte: (Special[] | undefined)[] = Array.from({ length: 256 }, () => undefined);
  const specials: Special[] = [];
  for (const [range, kind] of specialRanges) {
    const result = parseCidr(range);
    if (!result.ok) throw new Error(`The table of special ranges is wrong: "${range}" ${result.reason}`);
    if (result.cidr.family === family) specials.push({ cidr: result.cidr, kind });
  }
  specials.sort((a, b) => b.cidr.prefix - a.cidr.prefix);
  for (const special of specials) {
    const first = special.cidr.base[0] ?? 0;
    const last = first + (special.cidr.prefix < 8 ? 2 ** (8 - special.cidr.prefix) - 1 : 0);
    for (let byte = first; byte <= last; byte++) (byFirstByte[byte] ??= []).push(special);
  }
  return byFirstByte;
}
