/** Record types of RFC 1035 §3.2.2 and RFC 3596 §2.1. */
export const TYPE_A = 1;
export const TYPE_AAAA = 28;
const TYPE_CNAME = 5;
const CLASS_IN = 1;

const HEADER_BYTES = 12;

/** Records of an answer section that are read, and CNAMEs that are followed. More would only keep the proxy busy. */
const MAX_RECORDS = 256;
const MAX_ALIASES = 16;

/** A question about one absolute name. */
export interface DnsQuestion {
  readonly id: number;
  /** Lower case ASCII without a dot at its end: at most 253 characters, its labels at most 63. */
  readonly name: string;
  readonly type: typeof TYPE_A | typeof TYPE_AAAA;
}

/** One message of a name server. */
export type DnsReply =
  /** The answer to another question, or no DNS message: the caller waits on. */
  | { readonly kind: "other" }
  | {
      readonly kind: "reply";
      /** RFC 1035 §4.1.1: 0 no error, 2 server failure, 3 no such name, 5 refused. */
      readonly rcode: number;
      /** The message did not fit: ask again over TCP. */
      readonly truncated: boolean;
      /** Addresses of the name, or of the name that it is an alias for: 4 or 16 bytes each. */
      readonly addresses: readonly Uint8Array[];
      /** Seconds: the least of all records that led to the addresses; 0 without addresses. */
      readonly ttl: number;
    };

const OTHER: DnsReply = { kind: "other" };

/** Writes the query (RFC 1035 §4.1): one question, recursion desired. */
export function encodeDnsQuestion({ id, name, type }: DnsQuestion): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + name.length + 2 + 4);
  bytes[0] = id >> 8;
  bytes[1] = id & 0xff;
  bytes[2] = 1;
  bytes[5] = 1;
  let at = HEADER_BYTES;
  for (const label of name.split(".")) {
    bytes[at++] = label.length;
    for (let index = 0; index < label.length; index++) bytes[at++] = label.charCodeAt(index);
  }
  at++;
  bytes[at + 1] = type;
  bytes[at + 3] = CLASS_IN;
  return bytes;
}

/** Reads the answer of a name server to `question`. Never throws, whatever the bytes are. */
export function decodeDnsReply(bytes: Uint8Array, question: DnsQuestion): DnsReply {
  if (bytes.length < HEADER_BYTES || read16(bytes, 0) !== question.id) return OTHER;
  const flags = read16(bytes, 2);
  const isResponse = (flags & 0x8000) !== 0;
  const opcode = (flags >> 11) & 0xf;
  if (!isResponse || opcode !== 0) return OTHER;
  const rcode = flags & 0xf;
  const truncated = (flags & 0x0200) !== 0;
  const questions = read16(bytes, 4);
  const empty = { kind: "reply", rcode, truncated, addresses: [], ttl: 0 } as const;
  // A server that does not understand the question need not repeat it.
  if (questions === 0) return rcode === 0 ? OTHER : empty;
  if (questions !== 1) return OTHER;
  const asked = readName(bytes, HEADER_BYTES);
  if (asked === undefined || asked.name !== question.name || asked.end + 4 > bytes.length) return OTHER;
  if (read16(bytes, asked.end) !== question.type || read16(bytes, asked.end + 2) !== CLASS_IN) return OTHER;
  if (rcode !== 0) return empty;
  const records = readRecords(bytes, asked.end + 4, Math.min(read16(bytes, 6), MAX_RECORDS));
  return { ...empty, ...collect(records, question) };
}

interface DnsRecord {
  readonly owner: string;
  readonly type: number;
  readonly ttl: number;
  /** The offsets of the RDATA. */
  readonly at: number;
  readonly end: number;
}

interface Records {
  readonly bytes: Uint8Array;
  readonly list: readonly DnsRecord[];
}

/** Reads the answer section as far as it is whole: a truncated message ends anywhere. */
function readRecords(bytes: Uint8Array, start: number, count: number): Records {
  const list: DnsRecord[] = [];
  let from = start;
  for (let index = 0; index < count; index++) {
    const owner = readName(bytes, from);
    if (owner === undefined || owner.end + 10 > bytes.length) break;
    const at = owner.end + 10;
    const end = at + read16(bytes, owner.end + 8);
    if (end > bytes.length) break;
    if (read16(bytes, owner.end + 2) === CLASS_IN) {
      // RFC 2181 §8: a TTL with its highest bit set is 0.
      const ttl = ((bytes[owner.end + 4] ?? 0) & 0x80) === 0 ? read32(bytes, owner.end + 4) : 0;
      list.push({ owner: owner.name, type: read16(bytes, owner.end), ttl, at, end });
    }
    from = end;
  }
  return { bytes, list };
}

/** Follows the aliases of the name that was asked for to its addresses (RFC 1034 §3.6.2). */
function collect({ bytes, list }: Records, { name, type }: DnsQuestion): { addresses: Uint8Array[]; ttl: number } {
  const length = type === TYPE_A ? 4 : 16;
  let owner = name;
  let ttl = Infinity;
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const found = list.filter((record) => record.owner === owner && record.type === type);
    const whole = found.filter((record) => record.end - record.at === length);
    if (whole.length > 0) {
      for (const record of whole) ttl = Math.min(ttl, record.ttl);
      return { addresses: whole.map((record) => bytes.slice(record.at, record.end)), ttl };
    }
    const alias = list.find((record) => record.owner === owner && record.type === TYPE_CNAME);
    const target = alias && readName(bytes, alias.at);
    if (alias === undefined || target === undefined) break;
    ttl = Math.min(ttl, alias.ttl);
    owner = target.name;
  }
  return { addresses: [], ttl: 0 };
}

/** Reads a name that may be compressed (RFC 1035 §4.1.4), in lower case; `end` is where it ends in place. */
function readName(bytes: Uint8Array, start: number): { readonly name: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  let end = -1;
  let octets = 0;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length === 0) return { name: labels.join("."), end: end < 0 ? at + 1 : end };
    if (length >= 0xc0) {
      const low = bytes[at + 1];
      const target = ((length & 0x3f) << 8) | (low ?? 0);
      // Only backwards, so that no pointers form a circle.
      if (low === undefined || target >= at) return undefined;
      if (end < 0) end = at + 2;
      at = target;
      continue;
    }
    octets += length + 1;
    if (length > 63 || octets > 254 || at + 1 + length > bytes.length) return undefined;
    labels.push(readLabel(bytes, at + 1, length));
    at += 1 + length;
  }
}

/** Escapes a dot within a label: it is none between labels. */
function readLabel(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, length)
    .toString("latin1")
    .replaceAll(".", "\\.")
    .replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function read16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function read32(bytes: Uint8Array, at: number): number {
  return read16(bytes, at) * 65_536 + read16(bytes, at + 2);
}
