import type { PeerCertificate } from "node:tls";

/** What the certificates of clients are known by, the most personal first. */
const KINDS = ["email:", "DNS:", "URI:"];

/**
 * Reads who a client is from its verified certificate: the first e-mail
 * address, DNS name or URI among its alternative names, in this order of kinds
 * (RFC 5280 §4.2.1.6), or else its one common name. Undefined when it names nobody.
 */
export function readClientIdentity(certificate: PeerCertificate): string | undefined {
  const names = splitAlternativeNames(certificate.subjectaltname ?? "");
  for (const kind of KINDS) {
    const name = names.find((each) => each.startsWith(kind))?.slice(kind.length);
    if (name !== undefined && name !== "") return name;
  }
  // A list when there are several: nobody could say which one counts.
  const common: unknown = certificate.subject?.CN;
  return typeof common === "string" && common !== "" ? common : undefined;
}

/**
 * Takes `DNS:a, URI:"b, DNS:c"` apart. A name that has to be quoted is left
 * out: it holds what could be mistaken for another name.
 */
function splitAlternativeNames(text: string): string[] {
  return [...text.matchAll(/(?:^|, )([^,":]+:(?:"(?:[^"\\]|\\.)*"|[^",]*))/g)].flatMap(([, name = ""]) =>
    name.includes('"') ? [] : [name],
  );
}
