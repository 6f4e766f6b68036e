/**
 * Writes blocks of the pcapng format
 * (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html), little
 * endian. A file is: one section header, one interface description for each
 * interface, then packets, secrets and statistics in any order; the secrets
 * before the packets that they open.
 */

const BLOCK = {
  sectionHeader: 0x0a0d0d0a,
  interfaceDescription: 1,
  interfaceStatistics: 5,
  enhancedPacket: 6,
  decryptionSecrets: 10,
} as const;

/** Raw IPv4 or IPv6, without a link layer (https://www.tcpdump.org/linktypes.html). */
const LINKTYPE_RAW = 101;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** "TLSK": secrets in the NSS key log format. */
const SECRETS_TLS_KEY_LOG = 0x544c534b;
/** Timestamps count units of 10^-9 s. */
const NANOSECOND_RESOLUTION = 9;

const utf8 = new TextEncoder();

/** An option: its code, and its value as it is on the wire; undefined for one that is left out. */
type Option = readonly [code: number, value: Uint8Array | undefined];

/** What is said of a whole file. */
export interface SectionInfo {
  /** The program that writes the file, for people. */
  readonly application?: string;
  readonly operatingSystem?: string;
  readonly hardware?: string;
  readonly comment?: string;
}

/** The block that begins a file. Its length is left open, so that it can begin a live stream. */
export function encodeSectionHeader(info: SectionInfo = {}): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(16));
  fixed.setUint32(0, BYTE_ORDER_MAGIC, true);
  fixed.setUint16(4, 1, true);
  fixed.setUint16(6, 0, true);
  fixed.setBigInt64(8, -1n, true);
  return encodeBlock(BLOCK.sectionHeader, fixed, [
    [1, encodeText(info.comment)],
    [2, encodeText(info.hardware)],
    [3, encodeText(info.operatingSystem)],
    [4, encodeText(info.application)],
  ]);
}

/** What is said of an interface: here one leg of the proxy. */
export interface InterfaceInfo {
  readonly name?: string;
  readonly description?: string;
  /** Most bytes kept of a packet; 0, the default, keeps all. */
  readonly snapLength?: number;
}

/** Describes an interface of raw IP packets with timestamps in nanoseconds. Interfaces count from 0 in the order of their descriptions. */
export function encodeInterfaceDescription(info: InterfaceInfo = {}): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(8));
  fixed.setUint16(0, LINKTYPE_RAW, true);
  fixed.setUint32(4, info.snapLength ?? 0, true);
  return encodeBlock(BLOCK.interfaceDescription, fixed, [
    [2, encodeText(info.name)],
    [3, encodeText(info.description)],
    [9, Uint8Array.of(NANOSECOND_RESOLUTION)],
  ]);
}

/** A packet as it is written. */
export interface CapturedPacket {
  readonly interfaceId: number;
  /** Nanoseconds since the epoch. */
  readonly timestamp: bigint;
  /** An IP packet, whole. */
  readonly packet: Uint8Array;
  /** Bytes to keep of it; the true length is told beside. Default: all. */
  readonly snapLength?: number;
  readonly comments?: readonly string[];
  /** As seen from the proxy. */
  readonly direction?: "inbound" | "outbound";
}

export function encodeEnhancedPacket(captured: CapturedPacket): Uint8Array {
  const { packet } = captured;
  const snap = captured.snapLength || packet.length;
  const kept = packet.subarray(0, snap);
  const fixed = new DataView(new ArrayBuffer(20 + padded(kept.length)));
  fixed.setUint32(0, captured.interfaceId, true);
  fixed.setBigUint64(4, swapHalves(captured.timestamp), true);
  fixed.setUint32(12, kept.length, true);
  fixed.setUint32(16, packet.length, true);
  new Uint8Array(fixed.buffer).set(kept, 20);
  const { comments = [], direction } = captured;
  return encodeBlock(BLOCK.enhancedPacket, fixed, [
    ...comments.map((comment): Option => [1, encodeText(comment)]),
    [2, direction && Uint8Array.of(direction === "inbound" ? 1 : 2, 0, 0, 0)],
  ]);
}

/** The keys with which a reader can decrypt packets that come later: lines in the NSS key log format. */
export function encodeDecryptionSecrets(keyLog: string): Uint8Array {
  const secrets = utf8.encode(keyLog);
  const fixed = new DataView(new ArrayBuffer(8 + padded(secrets.length)));
  fixed.setUint32(0, SECRETS_TLS_KEY_LOG, true);
  fixed.setUint32(4, secrets.length, true);
  new Uint8Array(fixed.buffer).set(secrets, 8);
  return encodeBlock(BLOCK.decryptionSecrets, fixed, []);
}

/** Totals of an interface, for the end of a file. Times are nanoseconds since the epoch. */
export interface InterfaceStatistics {
  readonly interfaceId: number;
  readonly timestamp: bigint;
  readonly startedAt?: bigint;
  readonly endedAt?: bigint;
  /** Packets seen, the dropped ones included. */
  readonly received?: bigint;
  /** Packets seen and not written, because the reader was too slow. */
  readonly dropped?: bigint;
}

export function encodeInterfaceStatistics(statistics: InterfaceStatistics): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(12));
  fixed.setUint32(0, statistics.interfaceId, true);
  fixed.setBigUint64(4, swapHalves(statistics.timestamp), true);
  return encodeBlock(BLOCK.interfaceStatistics, fixed, [
    [2, encodeTime(statistics.startedAt)],
    [3, encodeTime(statistics.endedAt)],
    [4, encodeNumber(statistics.received)],
    [5, encodeNumber(statistics.dropped)],
  ]);
}

/** Type, length, fixed part, options with the one that ends them, length again. */
function encodeBlock(type: number, fixed: DataView, options: readonly Option[]): Uint8Array {
  const present = options.flatMap(([code, value]) => (value === undefined ? [] : [{ code, value }]));
  const end = present.length > 0 ? 4 : 0;
  const optionBytes = present.reduce((sum, { value }) => sum + 4 + padded(value.length), end);
  const length = 12 + fixed.byteLength + optionBytes;
  const block = new Uint8Array(length);
  const view = new DataView(block.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  block.set(new Uint8Array(fixed.buffer), 8);
  let at = 8 + fixed.byteLength;
  for (const { code, value } of present) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    block.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(length - 4, length, true);
  return block;
}

/** Everything is padded to 32 bits. */
function padded(length: number): number {
  return (length + 3) & ~3;
}

/** Text of at most 65535 bytes, as the length of an option has two. */
function encodeText(text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const value = new Uint8Array(Math.min(0xffff, text.length * 3));
  return value.subarray(0, utf8.encodeInto(text, value).written);
}

/** A number of 64 bits. */
function encodeNumber(number: bigint | undefined): Uint8Array | undefined {
  if (number === undefined) return undefined;
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, number, true);
  return new Uint8Array(view.buffer);
}

function encodeTime(timestamp: bigint | undefined): Uint8Array | undefined {
  return timestamp === undefined ? undefined : encodeNumber(swapHalves(timestamp));
}

/** A timestamp as the format has it: the upper 32 bits first. */
function swapHalves(timestamp: bigint): bigint {
  return (timestamp >> 32n) | ((timestamp & 0xffff_ffffn) << 32n);
}
