import { createPrivateKey } from "node:crypto";
import { readCertificateNames } from "../protocol/tls/read/certificate-names.ts";
import { readPemCertificates } from "../protocol/tls/read/pem-certificates.ts";
import { type AcmeResult, failAcme, succeed } from "./outcome.ts";
import { quoteServer } from "./answers.ts";
import { formatTime } from "../escape-text.ts";

/** A chain that can be used, as a text of PEM blocks and nothing else. */
export interface CheckedChain {
  readonly cert: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
}

/** Certificates of a chain; real ones have two or three. */
const MAX_CERTIFICATES = 10;

/**
 * Checks what the server gave as the certificate: for our key, for exactly these
 * names, valid at `now`, and with its issuer. Whether clients trust the root is
 * theirs to say.
 */
export function checkChain(
  text: string,
  { key, names, now }: { readonly key: string; readonly names: readonly string[]; readonly now: number },
): AcmeResult<CheckedChain> {
  const chain = readPemCertificates(text);
  const [leaf, ...issuers] = chain ?? [];
  if (chain === undefined || leaf === undefined) return failAcme("the server sent no certificate in PEM form");
  if (chain.length > MAX_CERTIFICATES) return failAcme(`the server sent ${chain.length} certificates`);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) return failAcme("the certificate is not for the key of the order");
  const found = listCertificateNames(leaf.raw);
  const missing = names.filter((name) => !found.includes(name));
  const extra = found.filter((name) => !names.includes(name));
  if (missing.length > 0 || extra.length > 0)
    return failAcme(quoteServer(`the certificate is for other names: ${found.join(", ") || "none"}`));
  const [from, to] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
  if (now < from || now >= to)
    return failAcme(
      `the certificate is valid from ${formatTime(from)} to ${formatTime(to)}, and the clock of this machine says ${formatTime(now)}: correct the clock`,
    );
  if (issuers.length === 0) return failAcme("the server sent the certificate without the one of its issuer");
  for (const [at, issuer] of issuers.entries()) {
    const issued = chain[at];
    if (issued !== undefined && (!issued.checkIssued(issuer) || !issued.verify(issuer.publicKey)))
      return failAcme("the certificates that the server sent do not form a chain");
  }
  return succeed({ cert: chain.map((each) => each.toString()).join(""), from, to });
}

/** The names of a certificate; one that is no DNS name by its kind, so that it counts as another name. */
export function listCertificateNames(der: Uint8Array): string[] {
  const { alternative = [] } = readCertificateNames(der) ?? {};
  return alternative.map(({ kind, bytes }) =>
    kind === "dns" ? Buffer.from(bytes).toString("latin1").toLowerCase() : `(${kind})`,
  );
}
