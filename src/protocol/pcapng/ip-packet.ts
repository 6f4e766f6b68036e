import type { Ip } from "../../address/ip.ts";

/** An address and a port. */
export interface PacketEndpoint {
  readonly ip: Ip;
  readonly port: number;
}

export type TcpFlag = "FIN" | "SYN" | "RST" | "PSH" | "ACK";

/** What a TCP segment in an IP packet says. */
export interface TcpPacket {
  readonly from: PacketEndpoint;
  /** Of the same address family as `from`. */
  readonly to: PacketEndpoint;
  /** IPv4 identification, 16 bits; IPv6 has none. */
  readonly identification: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: readonly TcpFlag[];
  /** The maximum segment size and window scale options of a SYN. */
  readonly options?: { readonly segmentBytes: number; readonly windowShift: number };
  readonly payload: Uint8Array;
}

const FLAG_BITS: Readonly<Record<TcpFlag, number>> = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 };
const PROTOCOL_TCP = 6;
const HOP_LIMIT = 64;
const DONT_FRAGMENT = 0x4000;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;
/** Maximum segment size (4 bytes), no operation (1), window scale (3). */
const SYN_OPTION_BYTES = 8;
const WINDOW = 0xffff;

/** Encodes an IPv4 (RFC 791) or IPv6 (RFC 8200) packet with one TCP segment (RFC 9293), checksums valid. */
export function encodeTcpPacket(tcp: TcpPacket): Uint8Array {
  const ipBytes = tcp.from.ip.family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  const headerBytes = TCP_HEADER_BYTES + (tcp.options ? SYN_OPTION_BYTES : 0);
  const segmentBytes = headerBytes + tcp.payload.length;
  const packet = new Uint8Array(ipBytes + segmentBytes);
  const view = new DataView(packet.buffer);
  if (tcp.from.ip.family === 4) writeIpv4Header(packet, view, tcp);
  else writeIpv6Header(packet, view, tcp, segmentBytes);
  writeSegment(packet, view, ipBytes, headerBytes, tcp);
  // The checksum covers a pseudo header too: addresses, protocol, length.
  const pseudo = sumWords(tcp.from.ip.bytes) + sumWords(tcp.to.ip.bytes) + PROTOCOL_TCP + segmentBytes;
  view.setUint16(ipBytes + 16, foldChecksum(pseudo + sumWords(packet.subarray(ipBytes))));
  return packet;
}

function writeIpv4Header(packet: Uint8Array, view: DataView, tcp: TcpPacket): void {
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  view.setUint16(4, tcp.identification);
  view.setUint16(6, DONT_FRAGMENT);
  packet[8] = HOP_LIMIT;
  packet[9] = PROTOCOL_TCP;
  packet.set(tcp.from.ip.bytes, 12);
  packet.set(tcp.to.ip.bytes, 16);
  view.setUint16(10, foldChecksum(sumWords(packet.subarray(0, IPV4_HEADER_BYTES))));
}

function writeIpv6Header(packet: Uint8Array, view: DataView, tcp: TcpPacket, segmentBytes: number): void {
  packet[0] = 0x60;
  view.setUint16(4, segmentBytes);
  packet[6] = PROTOCOL_TCP;
  packet[7] = HOP_LIMIT;
  packet.set(tcp.from.ip.bytes, 8);
  packet.set(tcp.to.ip.bytes, 24);
}

function writeSegment(packet: Uint8Array, view: DataView, at: number, headerBytes: number, tcp: TcpPacket): void {
  view.setUint16(at, tcp.from.port);
  view.setUint16(at + 2, tcp.to.port);
  view.setUint32(at + 4, tcp.sequence);
  view.setUint32(at + 8, tcp.acknowledgement);
  packet[at + 12] = (headerBytes / 4) << 4;
  packet[at + 13] = tcp.flags.reduce((bits, flag) => bits | FLAG_BITS[flag], 0);
  view.setUint16(at + 14, WINDOW);
  if (tcp.options) {
    packet.set([2, 4], at + 20);
    view.setUint16(at + 22, tcp.options.segmentBytes);
    packet.set([1, 3, 3, tcp.options.windowShift], at + 24);
  }
  packet.set(tcp.payload, at + headerBytes);
}

/** Sum of big-endian words of 16 bits, RFC 1071. A packet of 64 KiB sums to less than 2^31. */
function sumWords(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  if (bytes.length % 2 === 1) sum += (bytes[bytes.length - 1] ?? 0) << 8;
  return sum;
}

function foldChecksum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
}
