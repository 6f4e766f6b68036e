import type { Endpoint } from "../../address/endpoint.ts";
import { parseHost } from "../../address/host.ts";
import type { ClientHello } from "../../protocol/tls/read/client-hello.ts";
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

/** Judges a request that is to be forwarded, as HTTP, by the rule that lets it through. */
export function judgeForwarding({ inside }: AllowDecision): Failure | undefined {
  return inside && judgeProtocol(inside, "http");
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
    judgeFingerprint(demand, ja4)
  );
}

/** Judges what began like TLS and has no ClientHello that can be read: there is no name in it, no version, no fingerprint. */
export function judgeUnreadable(demand: InsideDemand, why: string): Failure | undefined {
  const note = `the ClientHello cannot be read: ${why}`;
  if (demand.sni !== undefined) return fail("sni_mismatch", { note }).failure;
  if (demand.minVersion !== undefined || demand.ja4 !== undefined) return fail("protocol_denied", { note }).failure;
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
  const parsed = parseHost(name);
  // RFC 6066 §3: an address is no server name.
  const found = parsed.ok && parsed.host.kind === "name" ? parsed.host.text : undefined;
  const fits =
    found !== undefined &&
    (sni === "match" ? target.host.kind === "name" && target.host.text === found : sni.has(found));
  return fits ? undefined : fail("sni_mismatch", { note: `found SNI ${name.slice(0, 255)}` }).failure;
}

function judgeFingerprint({ ja4 }: InsideDemand, found: string): Failure | undefined {
  return ja4 === undefined || ja4.has(found)
    ? undefined
    : fail("fingerprint_denied", { note: `found JA4 ${found}` }).failure;
}
