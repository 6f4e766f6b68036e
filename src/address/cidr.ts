import { type Ip, ipFromBytes, parseIp } from "./ip.ts";

/** A range of addresses of one family: all that share the first `prefix` bits of `base`. */
export interface Cidr {
  readonly family: 4 | 6;
  /** The lowest address of the range, in network order. */
  readonly base: Uint8Array;
  /** Bits that count: 0..32 for IPv4, 0..128 for IPv6. */
  readonly prefix: number;
  /** Canonical, always with the prefix length: `10.0.0.0/8`, `::1/128`. */
  readonly text: string;
}

/** `reason` continues a sentence that begins with the quoted value: `"10.0.0.1/8" has …`. */
export type CidrResult = { readonly ok: true; readonly cidr: Cidr } | { readonly ok: false; readonly reason: string };

/**
 * Reads `10.0.0.0/8`, `2001:db8::/32`, or a lone address (a range of one).
 * Addresses are spelled as in `parseIp`. A range whose base has bits beyond the
 * prefix is refused, since it is unclear which of the two was meant.
 *
 * The families are apart: `::/0` holds no IPv4 address. A range of IPv4-mapped
 * addresses (`::ffff:10.0.0.0/104`) is the IPv4 range, because mapped addresses
 * are unmapped wherever they are read.
 */
export function parseCidr(text: string): CidrResult {
  const slash = text.indexOf("/");
  const written = slash < 0 ? text : text.slice(0, slash);
  const ip = parseIp(written);
  if (!ip) return refuse("is not an IP address or a range. Write 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32");
  const bits = ip.bytes.length * 8;
  const mapped = ip.family === 4 && written.includes(":");
  const skipped = mapped ? 96 : 0;
  if (slash < 0) return { ok: true, cidr: createCidr(ip, bits) };
  const length = text.slice(slash + 1);
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > bits + skipped) {
    return refuse(`has no prefix length from 0 to ${bits + skipped} after the slash`);
  }
  const prefix = Number(length) - skipped;
  // A mapped base has its marker ffff within the first 96 bits.
  if (prefix < 0) return refuse("mixes IPv4-mapped addresses with others. Write the IPv4 and the IPv6 range apart");
  const base = maskBytes(ip.bytes, prefix);
  if (!base.every((byte, index) => byte === ip.bytes[index])) {
    return refuse(
      `has bits set beyond the prefix. Write ${ipFromBytes(base).text}/${prefix}, or ${ip.text} for the one address`,
    );
  }
  return { ok: true, cidr: createCidr(ip, prefix) };
}

/** Whether `ip` is one of the addresses of `cidr`. An address of the other family never is. */
export function containsIp(cidr: Cidr, ip: Ip): boolean {
  if (cidr.family !== ip.family) return false;
  const { base, prefix } = cidr;
  const { bytes } = ip;
  const whole = prefix >> 3;
  for (let at = 0; at < whole; at++) if (base[at] !== bytes[at]) return false;
  const rest = prefix & 7;
  return rest === 0 || (((base[whole] ?? 0) ^ (bytes[whole] ?? 0)) & (0xff00 >> rest) & 0xff) === 0;
}

function createCidr(ip: Ip, prefix: number): Cidr {
  return {
    family: ip.family,
    base: ip.bytes,
    prefix,
    text: `${ip.text}/${prefix}`,
  };
}

function maskBytes(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, prefix - index * 8))));
}

function refuse(reason: string): CidrResult {
  return { ok: false, reason };
}
