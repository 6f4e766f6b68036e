import { X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate } from "node:tls";
import { formatTime } from "../../escape-text.ts";
import { readClientIdentity } from "./client-identity.ts";

/** Certificates in a chain, from the client's to an authority. */
const MAX_CHAIN = 10;

/** The time in which every certificate of a chain is valid, in milliseconds since the epoch. */
interface Validity {
  readonly from: number;
  readonly to: number;
}

/**
 * The certificate that a client showed. It is judged again for each request: a
 * resumed session brings it without verification, and a connection can outlive
 * its validity and the trust in its authority.
 */
export class ClientCertificate {
  /** The user that it names. */
  readonly user: string;
  /** DER: the client's certificate, then its intermediates. */
  readonly #chain: readonly Uint8Array[];
  /** The authorities that verified it last, and for how long that holds. */
  #authorities: readonly X509Certificate[] | undefined;
  #validity: Validity | undefined;

  constructor(user: string, chain: readonly Uint8Array[]) {
    this.user = user;
    this.#chain = chain;
  }

  /** Why it is not accepted at `now` (milliseconds since the epoch), as the rest of a sentence; undefined when it is. */
  findFault(authorities: readonly X509Certificate[], now: number): string | undefined {
    const known = this.#authorities === authorities ? this.#validity : undefined;
    if (known !== undefined && now >= known.from && now <= known.to) return undefined;
    const chain = this.#chain.map((der) => new X509Certificate(der));
    const [own] = chain;
    if (own === undefined) throw new Error("A certificate without a certificate");
    const { from, to } = readValidity(own);
    if (now > to) return `expired at ${formatTime(to)}`;
    if (now < from) return `is not valid before ${formatTime(from)}`;
    this.#validity = findValidity(chain, authorities, now);
    this.#authorities = authorities;
    return this.#validity === undefined ? "is not signed by an authority that is trusted now" : undefined;
  }
}

/** Takes a client's certificate from the TLS library; undefined when it names no user. */
export function takeClientCertificate(shown: DetailedPeerCertificate): ClientCertificate | undefined {
  const user = readClientIdentity(shown.raw);
  if (user === undefined) return undefined;
  const chain: Buffer[] = [];
  let last: DetailedPeerCertificate | undefined;
  // The last one is its own issuer, or has none.
  for (let next = shown; next?.raw !== undefined && next !== last && chain.length < MAX_CHAIN;) {
    chain.push(next.raw);
    last = next;
    next = next.issuerCertificate;
  }
  return new ClientCertificate(user, chain);
}

/**
 * The validity of the chain from the first certificate, each signed by the next
 * one, to one of the authorities; undefined when it does not lead there.
 */
function findValidity(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
  now: number,
): Validity | undefined {
  let validity: Validity = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };
  for (const [at, certificate] of chain.entries()) {
    validity = intersect(validity, readValidity(certificate));
    if (now < validity.from || now > validity.to) return undefined;
    if (authorities.some(({ raw }) => raw.equals(certificate.raw))) return validity;
    const signers = authorities.filter((authority) => hasSigned(authority, certificate)).map(readValidity);
    const valid = signers.filter(({ from, to }) => now >= from && now <= to);
    // A renewed authority may be there twice.
    const [longest] = valid.sort((a, b) => b.to - a.to);
    if (longest !== undefined) return intersect(validity, longest);
    const next = chain[at + 1];
    if (next === undefined || !hasSigned(next, certificate)) return undefined;
  }
  return undefined;
}

function hasSigned(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function intersect(a: Validity, b: Validity): Validity {
  return { from: Math.max(a.from, b.from), to: Math.min(a.to, b.to) };
}

function readValidity({ validFromDate, validToDate }: X509Certificate): Validity {
  return { from: validFromDate.getTime(), to: validToDate.getTime() };
}
