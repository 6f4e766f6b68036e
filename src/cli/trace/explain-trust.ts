import type { ProbeVerdict } from "../../net/runtime/tls-probe.ts";
import type { MessageField } from "../../protocol/tls/explain/describe-message.ts";
import {
  type ExplainedCertificate,
  explainChain,
  isSignedBy,
  readCertificate,
  type UnreadableCertificate,
} from "../../protocol/tls/explain/explain-chain.ts";
import { readPemCertificates } from "../../protocol/tls/read/pem-certificates.ts";

/** What certificates are judged by. */
export interface TrustBasis {
  /** PEM texts, each with one root or several. */
  readonly roots: readonly string[];
  /** Where the roots come from, for a person. */
  readonly source: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A certificate chain in words: one line for each certificate and what signs it, then what to make of the whole. */
export function explainTrust(
  chain: readonly Uint8Array[],
  serverName: string,
  verdict: ProbeVerdict | undefined,
  basis: TrustBasis,
): MessageField[] {
  const explained = explainChain(chain);
  const fields = explained.flatMap((certificate, index) =>
    explainOne(
      certificate,
      index === 0 ? "server" : certificate.readable && certificate.selfSigned ? "root" : "issuer",
      basis.now,
    ),
  );
  if (verdict === undefined || chain.length === 0) return fields;
  return [
    ...fields,
    { label: "name", value: verdict.nameFault?.replace(/^is not/, "IS NOT") ?? `is for ${serverName}` },
    { label: "trust", value: describeTrust(chain, verdict, basis) },
  ];
}

function explainOne(
  certificate: ExplainedCertificate | UnreadableCertificate,
  role: string,
  now: number,
): MessageField[] {
  if (!certificate.readable)
    return [{ label: role, value: `a certificate that cannot be read, ${certificate.length} bytes` }];
  const { key } = certificate;
  const keyText = [key.algorithm, key.curve ?? (key.bits && `${key.bits} bits`)].filter(Boolean).join(" ");
  const names = certificate.names.map(({ kind, value }) => (kind === "DNS" ? value : `${kind} ${value}`));
  const signer = certificate.selfSigned
    ? "itself"
    : `${certificate.issuer}${certificate.signedByNext === undefined ? "" : certificate.signedByNext ? " (the next one, verified)" : " (NOT the next one)"}`;
  return [
    { label: role, value: certificate.subject },
    { label: `${role} serial`, value: certificate.serial },
    { label: `${role} signed by`, value: signer },
    { label: `${role} valid`, value: describeValidity(certificate, now) },
    ...(names.length > 0 ? [{ label: `${role} names`, value: names }] : []),
    {
      label: `${role} key`,
      value: [keyText, certificate.signatureAlgorithm && `signed with ${certificate.signatureAlgorithm}`]
        .filter(Boolean)
        .join(", "),
    },
    { label: `${role} sha256`, value: certificate.fingerprint },
  ];
}

const DAY_MS = 24 * 60 * 60 * 1000;

function describeValidity({ validFrom, validTo }: ExplainedCertificate, now: number): string {
  const span = `${formatDay(validFrom)} to ${formatDay(validTo)}`;
  if (now < validFrom) return `${span}, NOT YET VALID`;
  if (now > validTo) return `${span}, EXPIRED ${Math.floor((now - validTo) / DAY_MS)} days ago`;
  return `${span}, ${Math.floor((validTo - now) / DAY_MS)} days left`;
}

function formatDay(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString().slice(0, 10) : "?";
}

function describeTrust(chain: readonly Uint8Array[], verdict: ProbeVerdict, { roots, source }: TrustBasis): string {
  if (!verdict.trusted) return `NOT trusted: ${verdict.reason ?? "it does not verify"}`;
  const anchor = findAnchor(chain, roots);
  return anchor === undefined ? `trusted by ${source}` : `trusted by ${anchor} of ${source}`;
}

/** The subject of the root that verifies the chain; undefined when it cannot be told. */
function findAnchor(chain: readonly Uint8Array[], roots: readonly string[]): string | undefined {
  const anchors = roots.flatMap((pem) => readPemCertificates(pem) ?? []);
  for (const der of chain.toReversed()) {
    const certificate = readCertificate(der);
    if (certificate === undefined) continue;
    const anchor = anchors.find(
      (root) => certificate.fingerprint256 === root.fingerprint256 || isSignedBy(certificate, root),
    );
    if (anchor !== undefined) return anchor.subject.split("\n").join(", ");
  }
  return undefined;
}
