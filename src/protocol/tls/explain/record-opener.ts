import { createDecipheriv, createHmac } from "node:crypto";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { nameCipherSuite } from "../read/iana.ts";

export interface OpenedRecord {
  /** What it carries, as in the header of a record in clear: 21 alert, 22 handshake, 23 application data. */
  readonly type: number;
  readonly content: Uint8Array;
}

/** Opens the records of one direction under one key, in order: each has its number. */
export interface RecordOpener {
  /** `record` with its five bytes of header. Undefined when it was not sealed with this key: the number is not used up. */
  open(record: Uint8Array): OpenedRecord | undefined;
}

/** How a cipher suite protects records. */
interface Protection {
  readonly cipher: "aes-128-gcm" | "aes-256-gcm" | "chacha20-poly1305";
  readonly keyBytes: number;
  readonly hash: "sha256" | "sha384";
}

const HEADER_BYTES = 5;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;

/** The protection of a suite; undefined for one without a supported AEAD cipher, such as all CBC suites and AES-CCM. */
function findProtection(cipherSuite: number): Protection | undefined {
  const name = nameCipherSuite(cipherSuite);
  const hash = name.endsWith("_SHA384") ? "sha384" : "sha256";
  if (name.includes("_AES_128_GCM_")) return { cipher: "aes-128-gcm", keyBytes: 16, hash };
  if (name.includes("_AES_256_GCM_")) return { cipher: "aes-256-gcm", keyBytes: 32, hash };
  if (name.includes("_CHACHA20_POLY1305_")) return { cipher: "chacha20-poly1305", keyBytes: 32, hash };
  return undefined;
}

/** Whether records of this suite can be opened, in TLS 1.2 or 1.3. */
export function canOpenRecords(cipherSuite: number): boolean {
  return findProtection(cipherSuite) !== undefined;
}

/** Makes the opener for one traffic secret of TLS 1.3 (RFC 8446 §7.3); undefined for a suite that is not supported. */
export function createTls13Opener(cipherSuite: number, secret: Uint8Array): RecordOpener | undefined {
  const protection = findProtection(cipherSuite);
  if (protection === undefined) return undefined;
  const { cipher, keyBytes, hash } = protection;
  const key = expandLabel(hash, secret, "key", keyBytes);
  const iv = expandLabel(hash, secret, "iv", NONCE_BYTES);
  let sequence = 0;
  return {
    open(record) {
      const additional = record.subarray(0, HEADER_BYTES);
      const inner = openSealed(cipher, {
        key,
        nonce: numberNonce(iv, sequence),
        additional,
        sealed: record.subarray(HEADER_BYTES),
      });
      if (inner === undefined) return undefined;
      sequence += 1;
      // RFC 8446 §5.4: content, its type, and zeros to hide the length.
      const typeAt = inner.findLastIndex((byte) => byte !== 0);
      return { type: inner[typeAt] ?? 0, content: inner.subarray(0, Math.max(0, typeAt)) };
    },
  };
}

/** Gives the traffic secret that follows `secret` after a KeyUpdate (RFC 8446 §7.2). */
export function updateTrafficSecret(cipherSuite: number, secret: Uint8Array): Uint8Array {
  return expandLabel(findProtection(cipherSuite)?.hash ?? "sha256", secret, "traffic upd", secret.length);
}

/** What TLS 1.2 derives its keys from. The randoms have 32 bytes, the master secret 48. */
export interface Tls12Keys {
  readonly cipherSuite: number;
  readonly masterSecret: Uint8Array;
  readonly clientRandom: Uint8Array;
  readonly serverRandom: Uint8Array;
}

/** Makes the openers of both directions for TLS 1.2 (RFC 5246 §6.3, RFC 5288, RFC 7905); undefined for a suite that is not supported. */
export function createTls12Openers(keys: Tls12Keys): { client: RecordOpener; server: RecordOpener } | undefined {
  const protection = findProtection(keys.cipherSuite);
  if (protection === undefined) return undefined;
  const { cipher, keyBytes, hash } = protection;
  // AES-GCM sends the other eight bytes of the nonce with each record.
  const ivBytes = cipher === "chacha20-poly1305" ? NONCE_BYTES : 4;
  const seed = Buffer.concat([Buffer.from("key expansion"), keys.serverRandom, keys.clientRandom]);
  const block = expandPseudoRandom(hash, keys.masterSecret, seed, 2 * (keyBytes + ivBytes));
  const ivs = block.subarray(2 * keyBytes);
  return {
    client: createTls12Opener(cipher, block.subarray(0, keyBytes), ivs.subarray(0, ivBytes)),
    server: createTls12Opener(cipher, block.subarray(keyBytes, 2 * keyBytes), ivs.subarray(ivBytes)),
  };
}

function createTls12Opener(cipher: Protection["cipher"], key: Uint8Array, iv: Uint8Array): RecordOpener {
  const explicitBytes = NONCE_BYTES - iv.length;
  let sequence = 0;
  return {
    open(record) {
      const explicit = record.subarray(HEADER_BYTES, HEADER_BYTES + explicitBytes);
      const sealed = record.subarray(HEADER_BYTES + explicitBytes);
      if (sealed.length < TAG_BYTES) return undefined;
      const nonce = explicitBytes === 0 ? numberNonce(iv, sequence) : Buffer.concat([iv, explicit]);
      // RFC 5246 §6.2.3.3: number, type, version, and the length of the text.
      const additional = new DataView(new ArrayBuffer(13));
      additional.setBigUint64(0, BigInt(sequence));
      new Uint8Array(additional.buffer).set(record.subarray(0, 3), 8);
      additional.setUint16(11, sealed.length - TAG_BYTES);
      const content = openSealed(cipher, { key, nonce, additional: new Uint8Array(additional.buffer), sealed });
      if (content === undefined) return undefined;
      sequence += 1;
      return { type: record[0] ?? 0, content };
    },
  };
}

/** RFC 8446 §5.3: the number of the record, XORed into the end of the IV. */
function numberNonce(iv: Uint8Array, sequence: number): Uint8Array {
  // A copy: slice() of a Buffer is a view.
  const nonce = new Uint8Array(iv);
  const view = new DataView(nonce.buffer);
  view.setBigUint64(NONCE_BYTES - 8, view.getBigUint64(NONCE_BYTES - 8) ^ BigInt(sequence));
  return nonce;
}

/** What an AEAD cipher works on; the last 16 bytes of `sealed` are the tag. */
type Sealed = Readonly<Record<"key" | "nonce" | "additional" | "sealed", Uint8Array>>;

/** Gives the text; undefined when the tag is not the one of this key. */
function openSealed(cipher: Protection["cipher"], { key, nonce, additional, sealed }: Sealed): Uint8Array | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  try {
    // Bun has this cipher only inside TLS.
    if (cipher === "chacha20-poly1305") return chacha20poly1305(key, nonce, additional).decrypt(sealed);
    const decipher = createDecipheriv(cipher, key, nonce);
    decipher.setAAD(additional);
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    const text = decipher.update(sealed.subarray(0, -TAG_BYTES));
    decipher.final();
    return new Uint8Array(text);
  } catch {
    return undefined;
  }
}

/** HKDF-Expand-Label with an empty context, RFC 8446 §7.1. */
function expandLabel(hash: Protection["hash"], secret: Uint8Array, label: string, length: number): Uint8Array {
  const text = Buffer.from(`tls13 ${label}`, "latin1");
  const info = Buffer.concat([Uint8Array.of(length >> 8, length & 0xff, text.length), text, Uint8Array.of(0)]);
  // No secret of TLS 1.3 is longer than one output of its hash.
  return createHmac(hash, secret).update(info).update(Uint8Array.of(1)).digest().subarray(0, length);
}

/** P_hash of RFC 5246 §5. `seed` begins with the label. */
function expandPseudoRandom(
  hash: Protection["hash"],
  secret: Uint8Array,
  seed: Uint8Array,
  length: number,
): Uint8Array {
  const sign = (...parts: Uint8Array[]) => createHmac(hash, secret).update(Buffer.concat(parts)).digest();
  const output: Uint8Array[] = [];
  let gathered = 0;
  let link = sign(seed);
  while (gathered < length) {
    const part = sign(link, seed);
    output.push(part);
    gathered += part.length;
    link = sign(link);
  }
  return Buffer.concat(output).subarray(0, length);
}
