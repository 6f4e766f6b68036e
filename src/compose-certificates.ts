import type { InUse } from "./apply-config.ts";
import { CertificateExpiry, type UsedCertificate } from "./certificate-expiry.ts";
import { readCertificate } from "./config/pem.ts";
import type { Gate } from "./gate/gate.ts";
import type { Tell } from "./operator-message.ts";
import { listHops } from "./proxy/keep-unchanged.ts";

/** Composes what tells that certificates in use are near their end. */
export function composeCertificates(gate: Gate, inUse: InUse, tell: Tell, now = Date.now): CertificateExpiry {
  return new CertificateExpiry({
    list: () => [
      ...listListenerCertificates(gate, inUse),
      ...listSidecarCertificates(inUse),
      ...listClientCertificates(gate),
    ],
    tell,
    publish: (notice) => gate.events.publish("certificate", { ...notice }),
    now,
  });
}

function listListenerCertificates({ listeners }: Gate, { plans }: InUse): UsedCertificate[] {
  return plans.flatMap(({ tls }, at) => {
    const name = listeners?.[at]?.name;
    if (tls === undefined || name === undefined) return [];
    return tls.certificates.map(({ file, expiresAt }) => ({ use: "listener" as const, name, file, expiresAt }));
  });
}

function listSidecarCertificates({ sidecar }: InUse): UsedCertificate[] {
  const { tls, sidecar: { text: name } = { text: "" } } = sidecar ?? {};
  return (tls?.certificates ?? []).map(({ file, expiresAt }) => ({ use: "sidecar", name, file, expiresAt }));
}

/** The certificates that upstreams are shown. */
function* listClientCertificates({ runtime }: Gate): Iterable<UsedCertificate> {
  const ends = new Map<string, number | undefined>();
  for (const { name, tls } of listHops(runtime.current)) {
    if (tls?.cert === undefined) continue;
    if (!ends.has(tls.cert)) ends.set(tls.cert, readCertificate(tls.cert)?.validToDate.getTime());
    const expiresAt = ends.get(tls.cert);
    if (expiresAt !== undefined) yield { use: "upstream", name, file: tls.certFile, expiresAt };
  }
}
