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

/** An option: its code, and its value as it is on the wire. */
interface Option {
  readonly code: number;
  readonly value: Uint8Array;
}

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
    ...textOption(1, info.comment),
    ...textOption(2, info.hardware),
    ...textOption(3, info.operatingSystem),
    ...textOption(4, info.application),
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
    ...textOption(2, info.name),
    ...textOption(3, info.description),
    { code: 9, value: Uint8Array.of(NANOSECOND_RESOLUTION) },
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
  setTimestamp(fixed, 4, captured.timestamp);
  fixed.setUint32(12, kept.length, true);
  fixed.setUint32(16, packet.length, true);
  new Uint8Array(fixed.buffer).set(kept, 20);
  const options = (captured.comments ?? []).flatMap((comment) => textOption(1, comment));
  if (captured.direction !== undefined) options.push(numberOption(2, captured.direction === "inbound" ? 1 : 2));
  return encodeBlock(BLOCK.enhancedPacket, fixed, options);
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
  setTimestamp(fixed, 4, statistics.timestamp);
  return encodeBlock(BLOCK.interfaceStatistics, fixed, [
    ...timeOption(2, statistics.startedAt),
    ...timeOption(3, statistics.endedAt),
    ...countOption(4, statistics.received),
    ...countOption(5, statistics.dropped),
  ]);
}

/** Type, length, fixed part, options with the one that ends them, length again. */
function encodeBlock(type: number, fixed: DataView, options: readonly Option[]): Uint8Array {
  const end = options.length > 0 ? 4 : 0;
  const optionBytes = options.reduce((sum, { value }) => sum + 4 + padded(value.length), end);
  const length = 12 + fixed.byteLength + optionBytes;
  const block = new Uint8Array(length);
  const view = new DataView(block.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  block.set(new Uint8Array(fixed.buffer), 8);
  let at = 8 + fixed.byteLength;
  for (const { code, value } of options) {
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

function setTimestamp(view: DataView, at: number, timestamp: bigint): void {
  view.setUint32(at, Number(timestamp >> 32n), true);
  view.setUint32(at + 4, Number(timestamp & 0xffff_ffffn), true);
}

/** Text of at most 65535 bytes, as the length of an option has two. */
function textOption(code: number, text: string | undefined): Option[] {
  if (text === undefined) return [];
  const value = new Uint8Array(Math.min(0xffff, text.length * 3));
  const { written } = utf8.encodeInto(text, value);
  return [{ code, value: value.subarray(0, written) }];
}

function numberOption(code: number, number: number): Option {
  const value = new DataView(new ArrayBuffer(4));
  value.setUint32(0, number, true);
  return { code, value: new Uint8Array(value.buffer) };
}

function timeOption(code: number, time: bigint | undefined): Option[] {
  if (time === undefined) return [];
  const value = new DataView(new ArrayBuffer(8));
  setTimestamp(value, 0, time);
  return [{ code, value: new Uint8Array(value.buffer) }];
}

function countOption(code: number, count: bigint | undefined): Option[] {
  if (count === undefined) return [];
  const value = new DataView(new ArrayBuffer(8));
  value.setBigUint64(0, count, true);
  return [{ code, value: new Uint8Array(value.buffer) }];
}
