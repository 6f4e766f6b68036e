import { X509Certificate } from "node:crypto";
import type { InUse } from "./apply-config.ts";
import { describeMissingIssuer } from "./config/compile-tls.ts";
import type { Gate } from "./gate/gate.ts";
import type { ListenerCertificate } from "./proxy/accept/listener-tls.ts";
import type { CertificateRow } from "./sidecar/certificates.ts";

const DAY_MS = 86_400_000;
/** Days before its end from which on a certificate is warned of. */
const SOON_DAYS = 14;

/** The certificates that listeners show, the first to end first. `now` is in milliseconds since the epoch. */
export function reportCertificates(
  { listeners }: Gate,
  { plans }: Pick<InUse, "plans">,
  now: number,
): CertificateRow[] {
  return plans
    .flatMap(({ tls }, at) => {
      const listener = listeners?.[at]?.name;
      return tls === undefined || listener === undefined
        ? []
        : tls.certificates.map((certificate) => describeCertificate(certificate, listener, now));
    })
    .sort((one, other) => Date.parse(one.not_after) - Date.parse(other.not_after));
}

function describeCertificate(certificate: ListenerCertificate, usedBy: string, now: number): CertificateRow {
  const { file, cert } = certificate;
  const { subjectAltName, subject, issuer, validFromDate, validToDate } = new X509Certificate(cert);
  const begins = validFromDate.getTime();
  const ends = validToDate.getTime();
  const days = Math.floor((ends - now) / DAY_MS);
  const missing = describeMissingIssuer(certificate);
  return {
    used_by: usedBy,
    file,
    names: listNames(subjectAltName) ?? [readName(subject)],
    issuer: readName(issuer),
    not_before: new Date(begins).toISOString(),
    not_after: new Date(ends).toISOString(),
    days,
    warnings: [
      ...(ends <= now
        ? ["It has ended."]
        : days < SOON_DAYS
          ? [`It ends in ${days} ${days === 1 ? "day" : "days"}.`]
          : []),
      ...(begins > now ? ["It is not valid yet."] : []),
      ...(missing === undefined ? [] : [missing]),
    ],
  };
}

/** The DNS names and addresses of a subjectAltName as the runtime writes it; undefined for none. */
function listNames(text: string | undefined): string[] | undefined {
  const names = (text ?? "").split(", ").flatMap((part) => /^(?:DNS|IP Address):(.+)$/.exec(part)?.[1] ?? []);
  return names.length === 0 ? undefined : names;
}

/** The common name of a distinguished name as the runtime writes it, a line for each part; else all of it. */
function readName(text: string): string {
  return /^CN=(.*)$/m.exec(text)?.[1] ?? text.replaceAll("\n", ", ");
}
