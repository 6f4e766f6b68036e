import { type Ip, ipFromBytes } from "../../address/ip.ts";
import type { Parsed } from "../parsed.ts";
import type { SocketAddress } from "./proxy-header-v1.ts";

/** A type-length-value field (PROXY protocol §2.2.7), as sent. */
export interface ProxyTlv {
  /** 0..255. */
  readonly type: number;
  readonly value: Uint8Array;
}

/**
 * `local`: a connection of the sender itself, such as a health check, or one
 * without IP addresses. IPv4-mapped addresses are IPv4. The checksum and padding
 * are not among the `tlvs`.
 */
export type ProxyHeaderV2 =
  | { readonly kind: "local" }
  | {
      readonly kind: "proxy";
      readonly source: SocketAddress;
      readonly destination: SocketAddress;
      readonly tlvs: readonly ProxyTlv[];
    };

export type ProxyHeaderV2Error =
  | "bad_signature"
  | "bad_version"
  | "bad_command"
  | "bad_family"
  | "too_long"
  | "bad_length"
  | "bad_tlv"
  | "bad_checksum";

/** CR LF CR LF NUL CR LF "QUIT" LF: no other protocol begins like this. */
const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const HEAD_BYTES = 16;

/** Bytes after the head: room for a client certificate's subject. The field would allow 65,535. */
const MAX_PAYLOAD = 4096;

/** TLV types with a meaning here. */
const CHECKSUM_TYPE = 0x03;
const PADDING_TYPE = 0x04;

const UNSPECIFIED = 0x00;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
const UNIX_STREAM = 0x31;

/** Address bytes by family and transport. Datagrams do not come in a stream. */
const addressBytes: ReadonlyMap<number, number> = new Map([
  [UNSPECIFIED, 0],
  [TCP_OVER_IPV4, 12],
  [TCP_OVER_IPV6, 36],
  [UNIX_STREAM, 216],
]);

/**
 * Reads a PROXY protocol header of version 2, at most 4,112 bytes. TLVs are read
 * to the end, and a checksum is verified. With LOCAL, and with an unspecified
 * family, everything after the head is skipped (PROXY protocol §2.2).
 */
export function parseProxyHeaderV2(bytes: Uint8Array): Parsed<ProxyHeaderV2, ProxyHeaderV2Error> {
  const compared = Math.min(bytes.length, SIGNATURE.length);
  for (let at = 0; at < compared; at += 1) {
    if (bytes[at] !== SIGNATURE[at]) return refuse("bad_signature", at);
  }
  const [versionAndCommand, family, high, low] = bytes.subarray(SIGNATURE.length, HEAD_BYTES);
  if (versionAndCommand === undefined) return { kind: "more" };
  if (versionAndCommand >> 4 !== 2) return refuse("bad_version", 12);
  const command = versionAndCommand & 15;
  if (command > 1) return refuse("bad_command", 12);
  if (family === undefined) return { kind: "more" };
  const expected = addressBytes.get(family);
  if (command === 1 && expected === undefined) return refuse("bad_family", 13);
  if (high === undefined || low === undefined) return { kind: "more" };
  const length = (high << 8) | low;
  if (length > MAX_PAYLOAD) return refuse("too_long", 14);
  if (command === 1 && expected !== undefined && length < expected) return refuse("bad_length", 14);
  const used = HEAD_BYTES + length;
  if (bytes.length < used) return { kind: "more" };
  if (command === 0 || family === UNSPECIFIED || expected === undefined)
    return { kind: "done", value: { kind: "local" }, used };
  const tlvs = parseTlvs(bytes.subarray(0, used), HEAD_BYTES + expected);
  if (!tlvs.ok) return tlvs.refusal;
  // Paths of Unix sockets do not identify the client.
  if (family === UNIX_STREAM) return { kind: "done", value: { kind: "local" }, used };
  const addresses = parseAddresses(bytes.subarray(HEAD_BYTES, HEAD_BYTES + expected));
  return { kind: "done", value: { kind: "proxy", ...addresses, tlvs: tlvs.value }, used };
}

/**
 * Writes the header, with a checksum. When the families differ, both addresses
 * are written as IPv6, the IPv4 one mapped. Throws when addresses and TLVs have
 * more than 4,096 bytes.
 */
export function encodeProxyHeaderV2(header: ProxyHeaderV2): Uint8Array {
  if (header.kind === "local") return Buffer.concat([SIGNATURE, Uint8Array.of(0x20, 0, 0, 0)]);
  const { source, destination, tlvs } = header;
  const family = source.ip.family === 4 && destination.ip.family === 4 ? 4 : 6;
  const payload = Buffer.concat([
    widenIp(source.ip, family),
    widenIp(destination.ip, family),
    encodeNumber(source.port),
    encodeNumber(destination.port),
    ...tlvs.flatMap(({ type, value }) => [Uint8Array.of(type), encodeNumber(value.length), value]),
    Uint8Array.of(CHECKSUM_TYPE, 0, 4, 0, 0, 0, 0),
  ]);
  if (payload.length > MAX_PAYLOAD) {
    throw new RangeError(`A PROXY header carries at most ${MAX_PAYLOAD} bytes; these are ${payload.length}.`);
  }
  const head = Uint8Array.of(
    0x21,
    family === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6,
    payload.length >> 8,
    payload.length & 0xff,
  );
  const bytes = Buffer.concat([SIGNATURE, head, payload]);
  bytes.writeUInt32BE(computeCrc32c(bytes), bytes.length - 4);
  return bytes;
}

type Tlvs =
  | { readonly ok: true; readonly value: readonly ProxyTlv[] }
  | { readonly ok: false; readonly refusal: ReturnType<typeof refuse> };

/** Reads the TLVs from `at` to the end of the header. */
function parseTlvs(header: Uint8Array, at: number): Tlvs {
  const tlvs: ProxyTlv[] = [];
  let checksumAt: number | undefined;
  while (at < header.length) {
    const [type, high, low] = header.subarray(at, at + 3);
    if (type === undefined || high === undefined || low === undefined) return refuseTlv("bad_tlv", at);
    const start = at + 3;
    const end = start + ((high << 8) | low);
    if (end > header.length) return refuseTlv("bad_tlv", at);
    if (type === CHECKSUM_TYPE) {
      // Two checksums cannot both match: each covers the other.
      if (checksumAt !== undefined || end - start !== 4) return refuseTlv("bad_tlv", at);
      checksumAt = start;
    } else if (type !== PADDING_TYPE) tlvs.push({ type, value: copyBytes(header, start, end) });
    at = end;
  }
  if (checksumAt !== undefined && !checksumMatches(header, checksumAt)) return refuseTlv("bad_checksum", checksumAt);
  return { ok: true, value: tlvs };
}

/** The checksum is of the whole header, with zeros in its own place (PROXY protocol §2.2.4). */
function checksumMatches(header: Uint8Array, at: number): boolean {
  const copy = Buffer.from(header);
  const expected = copy.readUInt32BE(at);
  copy.fill(0, at, at + 4);
  return computeCrc32c(copy) === expected;
}

/** Both addresses, then both ports. */
function parseAddresses(bytes: Uint8Array): { source: SocketAddress; destination: SocketAddress } {
  const size = (bytes.length - 4) / 2;
  const port = (at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return {
    source: { ip: ipFromBytes(copyBytes(bytes, 0, size)), port: port(size * 2) },
    destination: { ip: ipFromBytes(copyBytes(bytes, size, size * 2)), port: port(size * 2 + 2) },
  };
}

/** The bytes are lent, and slice() of a Buffer is a view. */
function copyBytes(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}

/** The reversed polynomial of CRC-32C (Castagnoli), RFC 3720 appendix B.4. */
const POLYNOMIAL = 0x82f63b78;

const remainders = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ (remainder & 1 ? POLYNOMIAL : 0);
  return remainder;
});

/** The CRC-32C of the bytes, as an unsigned 32-bit number. */
export function computeCrc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (remainders[(crc ^ byte) & 0xff] ?? 0);
  return (crc ^ 0xffffffff) >>> 0;
}

function widenIp(ip: Ip, family: 4 | 6): Uint8Array {
  if (ip.family === family) return ip.bytes;
  return Buffer.concat([new Uint8Array(10), Uint8Array.of(0xff, 0xff), ip.bytes]);
}

function encodeNumber(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function refuse(code: ProxyHeaderV2Error, at: number): { kind: "bad"; code: ProxyHeaderV2Error; at: number } {
  return { kind: "bad", code, at };
}

function refuseTlv(code: ProxyHeaderV2Error, at: number): Tlvs {
  return { ok: false, refusal: refuse(code, at) };
}
