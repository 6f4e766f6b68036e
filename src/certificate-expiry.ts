import type { Tell } from "./operator-message.ts";

/** A certificate that clients or upstreams look at. */
export interface UsedCertificate {
  readonly use: "listener" | "sidecar" | "upstream";
  /** The listener as bound, the address of the sidecar, or the upstream that the certificate is shown to. */
  readonly name: string;
  /** As the configuration names it; undefined where it is not known. */
  readonly file: string | undefined;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** When it began, for one that the proxy renews: its end is told of only when that is late. */
  readonly renewedFrom?: number | undefined;
}

/** What an event tells. */
export interface ExpiryNotice {
  readonly use: UsedCertificate["use"];
  readonly name: string;
  readonly file: string | undefined;
  readonly expires: string;
  /** Whole days that are left; negative once it has expired. */
  readonly days: number;
  readonly expired: boolean;
}

export interface CertificateExpiryOptions {
  readonly list: () => Iterable<UsedCertificate>;
  readonly tell: Tell;
  readonly publish: (notice: ExpiryNotice) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Of the life of a certificate that is renewed, the last part, in which it should have been. */
export const LATE_PART = 1 / 6;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Days before the end at which a certificate is told of; Let's Encrypt renews at the first of them. */
const TOLD_DAYS = [30, 14, 7, 3, 1, 0];
/** A timer of the runtime counts to 24 days at most, and the clock of the machine may be set. */
const PERIOD_MS = 60 * 60 * 1000;

/** Tells when certificates are near their end: 30, 14, 7, 3 and 1 days before it, then each day after it; and once at start. */
export class CertificateExpiry {
  readonly #options: CertificateExpiryOptions;
  /** What was told of each last: the day before its end, or the number of a day after it. */
  #told = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CertificateExpiryOptions) {
    this.#options = options;
  }

  /** Looks at all certificates: at start, when one may have changed, and by itself from then on. */
  look(): void {
    const { list, now } = this.#options;
    this.#timer ??= setInterval(() => this.look(), PERIOD_MS).unref();
    const told = new Map<string, number>();
    for (const certificate of list()) {
      const { use, name, file, expiresAt, renewedFrom } = certificate;
      if (renewedFrom !== undefined && expiresAt - now() > (expiresAt - renewedFrom) * LATE_PART) continue;
      const days = (expiresAt - now()) / DAY_MS;
      const step = days > 0 ? TOLD_DAYS.findLast((each) => days < each) : Math.ceil(days);
      if (step === undefined) continue;
      const key = JSON.stringify([use, name, file, expiresAt]);
      if (told.has(key)) continue;
      told.set(key, step);
      if (this.#told.get(key) !== step) this.#notice(certificate, days);
    }
    this.#told = told;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #notice(certificate: UsedCertificate, daysLeft: number): void {
    const { use, name, file, expiresAt } = certificate;
    const expired = daysLeft <= 0;
    const days = Math.floor(daysLeft);
    this.#options.tell(describe(certificate, days, expired), expired ? "error" : "warn");
    this.#options.publish({ use, name, file, expires: new Date(expiresAt).toISOString(), days, expired });
  }
}

function describe(
  { use, name, file, expiresAt, renewedFrom }: UsedCertificate,
  days: number,
  expired: boolean,
): string {
  const what = `${use === "upstream" ? "The client certificate" : "The certificate"}${file === undefined ? "" : ` ${JSON.stringify(file)}`}`;
  const where = {
    listener: `of listener ${name}`,
    sidecar: `of the sidecar ${name}`,
    upstream: `for upstream ${name}`,
  };
  const date = new Date(expiresAt).toISOString().slice(0, 10);
  const advice = renewedFrom === undefined ? "Renew it." : "The messages of its orders say why it is not renewed.";
  if (expired) return `${what} ${where[use]} expired on ${date}. ${advice}`;
  const when = days === 0 ? "in less than a day" : `in ${days} ${days === 1 ? "day" : "days"}`;
  return `${what} ${where[use]} expires ${when}, on ${date}. ${advice}`;
}
