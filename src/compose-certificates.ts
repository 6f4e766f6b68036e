import type { InUse } from "./apply-config.ts";
import { CertificateExpiry, type UsedCertificate } from "./certificate-expiry.ts";
import { AcmeCertificates } from "./compose-acme.ts";
import { readCertificate } from "./config/pem.ts";
import type { Gate } from "./gate/gate.ts";
import type { Tell } from "./operator-message.ts";
import { listHops } from "./proxy/keep-unchanged.ts";

/** What a daemon does with the certificates in use. */
export interface Certificates {
  /** The listeners are open: orders certificates, and tells of those that are near their end. */
  start(): void;
  /** Other certificates may be in use. */
  look(): void;
  /** Another configuration is in use. */
  follow(): void;
  /** Resolves when what was begun for an order is taken back, so that the next process can order at once. */
  close(): Promise<void>;
}

/** Composes what orders certificates, and what tells that those in use are near their end. */
export function composeCertificates(gate: Gate, inUse: InUse, tell: Tell, secrets: readonly string[]): Certificates {
  const expiry = composeExpiry(gate, inUse, tell, Date.now);
  let isStarted = false;
  const look = (): void => {
    if (isStarted) expiry.look();
  };
  const acme = new AcmeCertificates({ gate, inUse, tell, secrets, look });
  inUse.ordered = () => acme.statuses;
  inUse.order = (orders) => {
    if (!orders) void acme.stop();
    else if (isStarted) acme.start();
  };
  acme.follow();
  return {
    start() {
      isStarted = true;
      expiry.look();
      acme.start();
    },
    look,
    follow() {
      acme.follow();
      look();
    },
    close() {
      isStarted = false;
      expiry.close();
      return acme.stop();
    },
  };
}

function composeExpiry(gate: Gate, inUse: InUse, tell: Tell, now: () => number): CertificateExpiry {
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
    return tls.certificates.map(({ file, cert, expiresAt, renewed }) => {
      const used = { use: "listener" as const, name, file, expiresAt };
      return renewed === true ? { ...used, renewedFrom: readCertificate(cert)?.validFromDate.getTime() } : used;
    });
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
