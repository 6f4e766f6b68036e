import { parseIp } from "../../address/ip.ts";
import { readCertificateNames } from "../../protocol/tls/read/certificate-names.ts";

/**
 * Why a verified certificate (DER) is not one of the server `name`, a host name
 * or an address; undefined when it is. By RFC 9525 §6: subject alternative names
 * alone count, `*` stands for one whole label, the first, and an address is
 * never matched by a DNS name.
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

/** A name as certificates have it: a dot at its end, which says that it is absolute, is no part of it. */
export function toPresented(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function matchesName(presented: string, wanted: string): boolean {
  const pattern = presented.toLowerCase();
  if (!pattern.startsWith("*.")) return pattern === wanted;
  const parent = pattern.slice(1);
  const first = wanted.indexOf(".");
  // `*.com` would be for everybody below it.
  return first > 0 && wanted.slice(first) === parent && parent.includes(".", 1) && !parent.includes("*");
}
