import type { Endpoint } from "../../address/endpoint.ts";
import { parseHost } from "../../address/host.ts";
import type { ClientHello, EncryptedClientHello } from "../../protocol/tls/read/client-hello.ts";
import { encodeFatalAlert } from "../../protocol/tls/read/alert.ts";
import { isGrease, nameVersion } from "../../protocol/tls/read/iana.ts";
import { fail, type Failure } from "../failure.ts";
import type { InsideDemand, InsideProtocol } from "../policy/inside-demand.ts";
import type { AllowDecision } from "../policy/decision.ts";

const TLS13 = 0x0304;

/** Judges what a client speaks. Undefined when it may. */
export function judgeProtocol({ protocols }: InsideDemand, protocol: InsideProtocol): Failure | undefined {
  return protocols.has(protocol) ? undefined : fail("protocol_denied", { note: `found ${protocol}` }).failure;
}

/** Judges a request that is to be forwarded, as HTTP, by the rule that lets it through. Undefined also when it only reports. */
export function judgeForwarding({ inside }: AllowDecision): Failure | undefined {
  return inside?.reports ? undefined : inside && judgeProtocol(inside, "http");
}

/** What a rule would refuse a forwarded request for, and only reports. */
export function findReportedForwarding({ inside }: Pick<AllowDecision, "inside">): Failure | undefined {
  return inside?.reports ? judgeProtocol(inside, "http") : undefined;
}

/** Judges a ClientHello, and its fingerprint `ja4`, for a tunnel that was asked for `target`. Undefined when it meets the demand. */
export function judgeHello(
  demand: InsideDemand,
  target: Endpoint,
  hello: ClientHello,
  ja4: string,
): Failure | undefined {
  return (
    judgeProtocol(demand, "tls") ??
    (demand.minVersion === undefined ? undefined : judgeVersion(demand, findHighestVersion(hello))) ??
    judgeServerName(demand, target, hello) ??
    judgeEncryptedHello(demand, target, hello) ??
    judgeFingerprint(demand, ja4)
  );
}

/** Judges what began like TLS and has no ClientHello that can be read: there is no name in it, no version, no fingerprint. */
export function judgeUnreadable(demand: InsideDemand, why: string): Failure | undefined {
  const note = `the ClientHello cannot be read: ${why}`;
  if (demand.sni !== undefined) return fail("sni_mismatch", { note }).failure;
  if (demand.minVersion !== undefined || demand.ja4 !== undefined || demand.ech !== undefined)
    return fail("protocol_denied", { note }).failure;
  return judgeProtocol(demand, "unknown");
}

/** Judges the highest version that a client offers, or the one that the server chose. */
export function judgeVersion({ minVersion = 0 }: InsideDemand, version: number): Failure | undefined {
  // RFC 8446 drafts used 0x7f00 + their number.
  const final = version >> 8 === 0x7f ? TLS13 : version;
  return final >= minVersion ? undefined : fail("tls_too_old", { note: `found ${nameVersion(version)}` }).failure;
}

/** What a TLS client is told of a refusal before its connection is closed (RFC 8446 §6.2). */
export function writeRefusalAlert({ detail }: Failure): Uint8Array {
  switch (detail) {
    case "sni_mismatch":
      return encodeFatalAlert("unrecognized_name");
    case "tls_too_old":
      return encodeFatalAlert("protocol_version");
    default:
      return encodeFatalAlert("access_denied");
  }
}

function findHighestVersion({ legacyVersion, supportedVersions }: ClientHello): number {
  const offered = supportedVersions.filter((version) => !isGrease(version));
  return offered.length === 0 ? legacyVersion : Math.max(...offered);
}

function judgeServerName({ sni }: InsideDemand, target: Endpoint, hello: ClientHello): Failure | undefined {
  if (sni === undefined) return undefined;
  const name = hello.serverName;
  if (name === undefined) return fail("sni_mismatch", { note: "found no SNI" }).failure;
  const found = readServerName(name);
  const fits =
    found !== undefined &&
    (sni === "match" ? target.host.kind === "name" && target.host.text === found : sni.has(found));
  return fits ? undefined : fail("sni_mismatch", { note: `found SNI ${name.slice(0, 255)}` }).failure;
}

/** The canonical name in SNI. RFC 6066 §3: an address is no server name. */
function readServerName(name: string): string | undefined {
  const parsed = parseHost(name);
  return parsed.ok && parsed.host.kind === "name" ? parsed.host.text : undefined;
}

/**
 * Judges Encrypted Client Hello (RFC 9849). Nobody without the key of the server can tell a sealed hello
 * from GREASE ECH, the random bytes of a client that knows of no key: `grease` lets both pass where they
 * have the form of what BoringSSL sends, beside the name that the tunnel was asked for.
 */
function judgeEncryptedHello({ ech }: InsideDemand, target: Endpoint, hello: ClientHello): Failure | undefined {
  if (ech === undefined) return undefined;
  const found = hello.encryptedClientHello;
  if (found === undefined) return undefined;
  if (ech === "deny") return fail("ech_denied", { note: "found Encrypted Client Hello" }).failure;
  if (!isLikeGrease(found))
    return fail("ech_denied", { note: "found Encrypted Client Hello that is not like GREASE" }).failure;
  const { host } = target;
  const name = hello.serverName;
  const fits = host.kind === "name" ? name !== undefined && readServerName(name) === host.text : name === undefined;
  if (fits) return undefined;
  const beside = name === undefined ? "without SNI" : `with SNI ${name.slice(0, 255)}`;
  return fail("ech_denied", { note: `found Encrypted Client Hello ${beside}` }).failure;
}

/** HKDF-SHA256; AES-128-GCM with hardware for it, else ChaCha20-Poly1305 (RFC 9180 §7). */
const GREASE_KDF = 1;
const GREASE_AEADS: readonly number[] = [1, 3];
const X25519_BYTES = 32;
/** 128, 160, 192 or 224 random bytes, and those of a tag. */
const GREASE_PAYLOADS: readonly number[] = [144, 176, 208, 240];

/** Whether it has the form of the GREASE ECH of BoringSSL, and so of Chromium. */
function isLikeGrease(ech: EncryptedClientHello): boolean {
  return (
    ech.kind === "outer" &&
    ech.kdf === GREASE_KDF &&
    GREASE_AEADS.includes(ech.aead) &&
    ech.encapsulatedKeyLength === X25519_BYTES &&
    GREASE_PAYLOADS.includes(ech.payloadLength)
  );
}

function judgeFingerprint({ ja4 }: InsideDemand, found: string): Failure | undefined {
  return ja4 === undefined || ja4.has(found)
    ? undefined
    : fail("fingerprint_denied", { note: `found JA4 ${found}` }).failure;
}
