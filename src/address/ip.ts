/** One IP address. Two are the same address when their `text` is the same. */
export interface Ip {
  readonly family: 4 | 6;
  /** Dotted quad, or RFC 5952 text without brackets. Unique per address. */
  readonly text: string;
  /** Network order: 4 bytes for IPv4, 16 for IPv6. Not to be written to. */
  readonly bytes: Uint8Array;
}

const DOT = 0x2e;
const COLON = 0x3a;
/** `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255` */
const LONGEST_IPV6 = 45;

/**
 * Reads the one strict spelling of an IPv4 address (four decimal parts, no
 * leading zeros) or any spelling of RFC 4291 §2.2 of an IPv6 address. No
 * brackets, no zone id, no surrounding space.
 *
 * An IPv4-mapped IPv6 address (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2) gives the
 * IPv4 address, because that is the address a socket reaches with it: rules and
 * address classes must see that one.
 */
export function parseIp(text: string): Ip | undefined {
  if (text.includes(":")) {
    const bytes = parseIpv6(text);
    return bytes && ipFromBytes(bytes);
  }
  const bytes = new Uint8Array(4);
  return writeIpv4(text, 0, bytes, 0) ? { family: 4, text, bytes } : undefined;
}

/**
 * The address of 4 or 16 bytes in network order. Keeps no reference to `bytes`.
 * IPv4-mapped IPv6 gives the IPv4 address, as in `parseIp`.
 *
 * @throws RangeError for any other length: the caller's framing is broken.
 */
export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length === 4) return ipv4FromBytes(bytes.slice());
  if (bytes.length !== 16) throw new RangeError(`An IP address has 4 or 16 bytes, not ${bytes.length}`);
  if (isMapped(bytes)) return ipv4FromBytes(bytes.slice(12));
  return { family: 6, text: formatIpv6(bytes), bytes: bytes.slice() };
}

function ipv4FromBytes(bytes: Uint8Array): Ip {
  const [a, b, c, d] = bytes;
  return { family: 4, text: `${a}.${b}.${c}.${d}`, bytes };
}

function isMapped(bytes: Uint8Array): boolean {
  if (bytes[10] !== 0xff || bytes[11] !== 0xff) return false;
  for (let at = 0; at < 10; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** Reads a strict dotted quad from `start` to the end of `text` into four bytes of `into`; false when it is not one. */
function writeIpv4(text: string, start: number, into: Uint8Array, offset: number): boolean {
  const length = text.length;
  // 0.0.0.0 to 255.255.255.255
  if (length - start < 7 || length - start > 15) return false;
  let at = start;
  for (let part = 0; part < 4; part++) {
    if (part > 0 && text.charCodeAt(at++) !== DOT) return false;
    const first = at;
    let value = 0;
    while (at < length && at - first < 3) {
      const digit = text.charCodeAt(at) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at++;
    }
    const digits = at - first;
    // A leading zero means octal to inet_aton and decimal to others.
    if (digits === 0 || value > 255 || (digits > 1 && text.charCodeAt(first) === 0x30)) return false;
    into[offset + part] = value;
  }
  return at === length;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const length = text.length;
  if (length < 2 || length > LONGEST_IPV6) return undefined;
  const bytes = new Uint8Array(16);
  let filled = 0;
  /** How many bytes stood before "::", or -1 without one. */
  let gap = -1;
  let at = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return undefined;
    gap = 0;
    at = 2;
  }
  while (at < length) {
    if (filled === 16) return undefined;
    const first = at;
    let group = 0;
    while (at < length && at - first < 4) {
      const digit = hexValue(text.charCodeAt(at));
      if (digit < 0) break;
      group = group * 16 + digit;
      at++;
    }
    if (at === first) return undefined;
    if (at < length && text.charCodeAt(at) === DOT) {
      if (filled > 12 || !writeIpv4(text, first, bytes, filled)) return undefined;
      filled += 4;
      break;
    }
    bytes[filled] = group >> 8;
    bytes[filled + 1] = group & 0xff;
    filled += 2;
    if (at === length) break;
    if (text.charCodeAt(at++) !== COLON || at === length) return undefined;
    if (text.charCodeAt(at) === COLON) {
      if (gap >= 0) return undefined;
      gap = filled;
      at++;
    }
  }
  if (gap < 0) return filled === 16 ? bytes : undefined;
  // RFC 4291 §2.2: "::" stands for one or more groups, never for none.
  if (filled === 16) return undefined;
  const moved = 16 - (filled - gap);
  bytes.copyWithin(moved, gap, filled);
  bytes.fill(0, gap, moved);
  return bytes;
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of two or more zero groups as "::". */
function formatIpv6(bytes: Uint8Array): string {
  let runStart = 0;
  let bestStart = -1;
  let bestLength = 1;
  for (let index = 0; index < 8; index++) {
    if (readGroup(bytes, index) !== 0) runStart = index + 1;
    else if (index - runStart >= bestLength) {
      bestStart = runStart;
      bestLength = index - runStart + 1;
    }
  }
  let text = "";
  for (let index = 0; index < 8; index++) {
    if (index === bestStart) {
      text += "::";
      index += bestLength - 1;
      continue;
    }
    if (index > 0 && index !== bestStart + bestLength) text += ":";
    text += readGroup(bytes, index).toString(16);
  }
  return text;
}

function readGroup(bytes: Uint8Array, index: number): number {
  return ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0);
}
