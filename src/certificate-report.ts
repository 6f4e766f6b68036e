import { X509Certificate } from "node:crypto";
import type { KeeperStatus } from "./acme/certificate-keeper.ts";
import { LATE_PART } from "./certificate-expiry.ts";
import { describeMissingIssuer } from "./config/compile-tls.ts";
import type { ListenerCertificate, ListenerTls } from "./proxy/accept/listener-tls.ts";
import { listHops } from "./proxy/keep-unchanged.ts";
import type { CertificateRow } from "./sidecar/certificates.ts";

const DAY_MS = 86_400_000;
/** Days before its end from which on a certificate is warned of: Let's Encrypt renews then. */
const SOON_DAYS = 30;

/** What is read from a certificate. */
interface CertificateFacts {
  readonly names: readonly string[];
  readonly issuer: string;
  /** Milliseconds since the epoch. */
  readonly begins: number;
  readonly ends: number;
  /** Says that its file does not have the certificate of the issuer. */
  readonly missing: string | undefined;
}

type CertificateFile = Pick<ListenerCertificate, "file" | "cert">;
type ReadFacts = (certificate: CertificateFile) => CertificateFacts;

/** The open listeners, and the upstreams in use. */
interface Shown {
  readonly listeners: readonly { readonly name: string }[] | undefined;
  readonly runtime: { readonly current: Parameters<typeof listHops>[0] };
}

type Certificates = Pick<ListenerTls, "certificates">;

/** The TLS of each listener, and of the sidecar. */
interface Served {
  readonly plans: readonly { readonly tls?: Certificates }[];
  readonly sidecar: { readonly tls: Certificates | undefined } | undefined;
}

/** Reports the certificates in use. Each is parsed once: `/status` is asked for every few seconds. */
export class CertificateReporter {
  readonly #parse: ReadFacts;
  /** Of the certificates of the last report. */
  #known: ReadonlyMap<string, CertificateFacts> = new Map();

  constructor(parse = parseFacts) {
    this.#parse = parse;
  }

  /** The certificates that clients, upstreams and operators are shown, the first to end first. `now` is in milliseconds since the epoch. */
  report(
    gate: Shown,
    { plans, sidecar }: Served,
    now: number,
    ordered: readonly KeeperStatus[] = [],
  ): CertificateRow[] {
    const used = new Map<string, CertificateFacts>();
    const read: ReadFacts = (certificate) => {
      const key = `${certificate.file}\n${certificate.cert}`;
      const facts = used.get(key) ?? this.#known.get(key) ?? this.#parse(certificate);
      used.set(key, facts);
      return facts;
    };
    const rows = [
      ...plans.flatMap(({ tls }, at) => reportServer(read, tls, gate.listeners?.[at]?.name, now, ordered)),
      ...reportServer(read, sidecar?.tls, "sidecar", now),
      ...reportClientCertificates(read, gate, now),
    ];
    this.#known = used;
    return rows.sort((one, other) => Date.parse(one.not_after) - Date.parse(other.not_after));
  }
}

/** A sentence for each certificate that has ended, ends soon or is not valid yet. */
export function warnOfCertificates(rows: readonly CertificateRow[], now: number): string[] {
  return rows.flatMap(({ file, used_by: usedBy, not_before: from, not_after: to, renewal }) =>
    judgeDates(Date.parse(from), Date.parse(to), now, renewal !== undefined).map(
      (fault) =>
        `The certificate ${JSON.stringify(file)} of ${usedBy === "sidecar" ? "the sidecar" : usedBy} ${fault}.`,
    ),
  );
}

function reportServer(
  read: ReadFacts,
  tls: Certificates | undefined,
  name: string | undefined,
  now: number,
  ordered: readonly KeeperStatus[] = [],
): CertificateRow[] {
  if (tls === undefined || name === undefined) return [];
  return tls.certificates.map((certificate) => {
    const status = certificate.renewed && ordered.find(({ file }) => file === certificate.file);
    const facts = read(certificate);
    const row = describeCertificate(certificate.file, facts, name, now, status && describeRenewal(status));
    const { missing } = facts;
    return missing === undefined ? row : { ...row, warnings: [...row.warnings, missing] };
  });
}

/** One that many upstreams are shown is told of once. */
function reportClientCertificates(read: ReadFacts, { runtime }: Pick<Shown, "runtime">, now: number): CertificateRow[] {
  const shown = new Map<string, { readonly file: string; readonly cert: string; readonly upstreams: Set<string> }>();
  for (const { name, tls } of listHops(runtime.current)) {
    if (tls?.cert === undefined) continue;
    const { certFile: file = "", cert } = tls;
    const key = JSON.stringify([file, cert]);
    const known = shown.get(key) ?? { file, cert, upstreams: new Set() };
    shown.set(key, known);
    known.upstreams.add(name);
  }
  return Array.from(shown.values(), ({ upstreams, ...certificate }) => {
    const [first = "", ...others] = upstreams;
    const more = others.length === 0 ? "" : ` and ${others.length} more`;
    return describeCertificate(certificate.file, read(certificate), `upstream ${first}${more}`, now);
  });
}

function describeRenewal({
  directory,
  nextAt,
  failures,
  problem,
}: KeeperStatus): NonNullable<CertificateRow["renewal"]> {
  return {
    directory,
    ...(nextAt !== undefined && { next_at: new Date(nextAt).toISOString() }),
    failures,
    ...(problem !== undefined && { problem }),
  };
}

function parseFacts(certificate: CertificateFile): CertificateFacts {
  const { subjectAltName, subject, issuer, validFromDate, validToDate } = new X509Certificate(certificate.cert);
  return {
    names: listNames(subjectAltName) ?? [readName(subject)],
    issuer: readName(issuer),
    begins: validFromDate.getTime(),
    ends: validToDate.getTime(),
    missing: describeMissingIssuer(certificate),
  };
}

function describeCertificate(
  file: string,
  { names, issuer, begins, ends }: CertificateFacts,
  usedBy: string,
  now: number,
  renewal?: CertificateRow["renewal"],
): CertificateRow {
  return {
    used_by: usedBy,
    file,
    names,
    issuer,
    not_before: new Date(begins).toISOString(),
    not_after: new Date(ends).toISOString(),
    days: countDays(ends, now),
    warnings: judgeDates(begins, ends, now, renewal !== undefined).map((fault) => `It ${fault}.`),
    ...(renewal && { renewal }),
  };
}

/** What is wrong with the dates of a certificate, as ends of sentences. One that the proxy renews is late in the last part of its life. */
function judgeDates(begins: number, ends: number, now: number, isRenewed = false): string[] {
  const days = countDays(ends, now);
  const isSoon = isRenewed ? ends - now < (ends - begins) * LATE_PART : days < SOON_DAYS;
  const end = ends <= now ? "has ended" : isSoon ? `ends in ${days} ${days === 1 ? "day" : "days"}` : undefined;
  return [...(end === undefined ? [] : [end]), ...(begins > now ? ["is not valid yet"] : [])];
}

function countDays(ends: number, now: number): number {
  return Math.floor((ends - now) / DAY_MS);
}

/** The DNS names, addresses, mailboxes and URIs of a subjectAltName as the runtime writes it; undefined for none. */
function listNames(text: string | undefined): string[] | undefined {
  const names = (text ?? "").split(", ").flatMap((part) => /^(?:DNS|IP Address|email|URI):(.+)$/.exec(part)?.[1] ?? []);
  return names.length === 0 ? undefined : names;
}

/** The common name of a distinguished name as the runtime writes it, a line for each part; else all of it. */
function readName(text: string): string {
  return /^CN=(.*)$/m.exec(text)?.[1] ?? text.replaceAll("\n", ", ");
}
