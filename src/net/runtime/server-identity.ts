import { parseIp } from "../../address/ip.ts";
import { readCertificateNames } from "../../protocol/tls/read/certificate-names.ts";

/**
 * Why a verified certificate (DER) is not for the server `name`, a host name or
 * an address; undefined when it is. By RFC 9525 §6 only subject alternative
 * names count, `*` stands for the whole first label, and no DNS name matches an
 * address.
 */
export function findIdentityFault(certificate: Uint8Array, name: string): string | undefined {
  const fault = `is not for ${name}`;
  const names = readCertificateNames(certificate);
  if (names === undefined) return fault;
  const wanted = toPresented(name);
  const ip = parseIp(wanted);
  const isNamed = names.alternative.some(({ kind, bytes }) =>
    ip === undefined
      ? kind === "dns" && matchesName(Buffer.from(bytes).toString("latin1"), wanted)
      : kind === "ip" && Buffer.from(bytes).equals(ip.bytes),
  );
  if (isNamed) return undefined;
  return names.common.some((common) => common !== undefined && matchesName(common, wanted))
    ? `${fault}: it has that as common name alone, and only subject alternative names count (RFC 9525)`
    : fault;
}

/** A name as in certificates: lower case, without the dot at the end of an absolute name. */
export function toPresented(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function matchesName(presented: string, wanted: string): boolean {
  const pattern = presented.toLowerCase();
  if (!pattern.startsWith("*.")) return pattern === wanted;
  const parent = pattern.slice(1);
  const first = wanted.indexOf(".");
  // Not `*.com`.
  return first > 0 && wanted.slice(first) === parent && parent.includes(".", 1) && !parent.includes("*");
}
