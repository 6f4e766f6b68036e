/**
 * Names of the numbers in TLS messages, as IANA registers them
 * (https://www.iana.org/assignments/tls-parameters and
 * https://www.iana.org/assignments/tls-extensiontype-values). The tables are
 * the JSON files in `iana/`, keyed by the number in four hexadecimal digits.
 */
import alerts from "./iana/alerts.json" with { type: "json" };
import cipherSuites from "./iana/cipher-suites.json" with { type: "json" };
import extensions from "./iana/extensions.json" with { type: "json" };
import groups from "./iana/groups.json" with { type: "json" };
import handshakeTypes from "./iana/handshake-types.json" with { type: "json" };
import signatureSchemes from "./iana/signature-schemes.json" with { type: "json" };

type Table = ReadonlyMap<number, string>;

function readTable(json: Readonly<Record<string, string>>): Table {
  return new Map(Object.entries(json).map(([hex, name]) => [parseInt(hex, 16), name]));
}

const CIPHER_SUITES = readTable(cipherSuites);
const GROUPS = readTable(groups);
const SIGNATURE_SCHEMES = readTable(signatureSchemes);
const EXTENSIONS = readTable(extensions);
const ALERTS = readTable(alerts);
const HANDSHAKE_TYPES = readTable(handshakeTypes);

/** Not registered, but common on the wire: NPN, ALPS before and after its number changed, Channel ID, trust anchor identifiers, and ESNI, which ECH replaced. */
const UNREGISTERED_EXTENSIONS: Table = new Map([
  [13172, "next_protocol_negotiation"],
  [17513, "application_settings (old)"],
  [17613, "application_settings"],
  [30031, "channel_id (old)"],
  [30032, "channel_id"],
  [51764, "trust_anchors"],
  [65486, "encrypted_server_name"],
]);

/** RFC 5246 §7.4.1.4.1: up to TLS 1.2 a signature scheme is a hash and a signature algorithm, in any combination. */
const HASHES = ["none", "md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
const SIGNATURES = ["anonymous", "rsa", "dsa", "ecdsa"];

const VERSIONS: Table = new Map([
  [0x0002, "SSL 2.0"],
  [0x0300, "SSL 3.0"],
  [0x0301, "TLS 1.0"],
  [0x0302, "TLS 1.1"],
  [0x0303, "TLS 1.2"],
  [0x0304, "TLS 1.3"],
]);

const COMPRESSION_METHODS: Table = new Map([
  [0, "null"],
  [1, "DEFLATE"],
  [64, "LZS"],
]);

const CERTIFICATE_COMPRESSIONS: Table = new Map([
  [1, "zlib"],
  [2, "brotli"],
  [3, "zstd"],
]);

const CLIENT_CERTIFICATE_TYPES: Table = new Map([
  [1, "rsa_sign"],
  [2, "dss_sign"],
  [3, "rsa_fixed_dh"],
  [4, "dss_fixed_dh"],
  [5, "rsa_ephemeral_dh"],
  [6, "dss_ephemeral_dh"],
  [20, "fortezza_dms"],
  [64, "ecdsa_sign"],
  [65, "rsa_fixed_ecdh"],
  [66, "ecdsa_fixed_ecdh"],
  [67, "gost_sign256"],
  [68, "gost_sign512"],
]);

const PSK_MODES: Table = new Map([
  [0, "psk_ke"],
  [1, "psk_dhe_ke"],
]);

const POINT_FORMATS: Table = new Map([
  [0, "uncompressed"],
  [1, "ansiX962_compressed_prime"],
  [2, "ansiX962_compressed_char2"],
]);

/** Whether a number of two bytes is one of those that a client sends only to see that servers ignore them, RFC 8701 §2. */
export function isGrease(code: number): boolean {
  return (code & 0x0f0f) === 0x0a0a && code >> 8 === (code & 0xff);
}

/** The same for the numbers of one byte that RFC 8701 §2 sets aside for PSK modes. */
export function isGreaseByte(code: number): boolean {
  return code % 0x1f === 0x0b && code <= 0xe4;
}

function formatHex(code: number, digits: number): string {
  return `0x${code.toString(16).padStart(digits, "0")}`;
}

function nameWide(table: Table, code: number): string {
  if (isGrease(code)) return `GREASE (${formatHex(code, 4)})`;
  return table.get(code) ?? formatHex(code, 4);
}

function nameByte(table: Table, code: number): string {
  return table.get(code) ?? formatHex(code, 2);
}

/** Like the other functions for numbers of two bytes: the name, `GREASE (0x0a0a)`, or the number as `0x1234`. */
export function nameCipherSuite(code: number): string {
  return nameWide(CIPHER_SUITES, code);
}

/** Groups for key exchange, formerly "named curves". */
export function nameGroup(code: number): string {
  return nameWide(GROUPS, code);
}

/** Also the pairs of hash and signature of TLS 1.2 that are no scheme of TLS 1.3, as `dsa_sha256`. */
export function nameSignatureScheme(code: number): string {
  const known = SIGNATURE_SCHEMES.get(code);
  if (known !== undefined) return known;
  const hash = HASHES[code >> 8];
  const signature = SIGNATURES[code & 0xff];
  if (hash !== undefined && signature !== undefined) return `${signature}_${hash}`;
  return nameWide(SIGNATURE_SCHEMES, code);
}

export function nameExtension(type: number): string {
  return UNREGISTERED_EXTENSIONS.get(type) ?? nameWide(EXTENSIONS, type);
}

/** A description in an alert: the name, or the number as `0x12`. */
export function nameAlert(description: number): string {
  return nameByte(ALERTS, description);
}

/** `warning`, `fatal`, or the number. */
export function nameAlertLevel(level: number): string {
  if (level === 1) return "warning";
  return level === 2 ? "fatal" : formatHex(level, 2);
}

export function nameHandshakeType(type: number): string {
  return nameByte(HANDSHAKE_TYPES, type);
}

/** `TLS 1.3`, `TLS 1.3 draft 28`, `SSL 3.0`, …, GREASE, or the number. */
export function nameVersion(version: number): string {
  // RFC 8446 drafts used 0x7f00 + their number.
  if (version >> 8 === 0x7f) return `TLS 1.3 draft ${version & 0xff}`;
  return nameWide(VERSIONS, version);
}

export function nameCompressionMethod(code: number): string {
  return nameByte(COMPRESSION_METHODS, code);
}

/** Algorithms of the `compress_certificate` extension, RFC 8879. */
export function nameCertificateCompression(code: number): string {
  return nameWide(CERTIFICATE_COMPRESSIONS, code);
}

/** Types in a CertificateRequest up to TLS 1.2. */
export function nameClientCertificateType(code: number): string {
  return nameByte(CLIENT_CERTIFICATE_TYPES, code);
}

export function namePskMode(code: number): string {
  if (isGreaseByte(code)) return `GREASE (${formatHex(code, 2)})`;
  return nameByte(PSK_MODES, code);
}

export function namePointFormat(code: number): string {
  return nameByte(POINT_FORMATS, code);
}
