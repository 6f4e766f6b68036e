import type { TlsPlan } from "../proxy/accept/listener-tls.ts";
import type { TlsFiles } from "./compile-tls.ts";
import { followFiles } from "./follow-files.ts";
import { quoteValue } from "./problem.ts";
import type { FileWatch } from "./watch-file.ts";

export interface CertificateWatchOptions {
  /** Puts a plan into effect, or says why it cannot be used. */
  readonly replace: (
    listener: number,
    plan: TlsPlan,
  ) => { readonly ok: true } | { ok: false; readonly message: string };
  /** Where messages for the operator go, one line each. */
  readonly tell: (message: string) => void;
  /** The time, milliseconds since the epoch. */
  readonly now: () => number;
  /**
   * Milliseconds without a change after which the files of a listener count as
   * replaced, certificate and key alike; 500 unless told otherwise.
   */
  readonly settleMs?: number;
  /** As `watchFile` takes it. */
  readonly pollMs?: number;
}

/** How long before the end of a certificate the operator is warned: Let's Encrypt renews then, too. */
const WARNING_MS = 30 * 24 * 60 * 60 * 1000;
/** How often a warning is repeated. */
const WARNING_PERIOD_MS = 24 * 60 * 60 * 1000;

/**
 * Follows the certificates of all listeners: reads them again when their files
 * change, however they are replaced, keeps the old ones as long as the new ones
 * cannot be used, and warns 30 days before the end of each, once a day.
 */
export function watchCertificates(listeners: readonly TlsFiles[], options: CertificateWatchOptions): FileWatch {
  const followers = listeners.map((files) => new CertificateFollower(files, options));
  const warn = (): void => {
    for (const follower of followers) follower.warn();
  };
  warn();
  const warning = setInterval(warn, WARNING_PERIOD_MS);
  warning.unref();
  return {
    close() {
      clearInterval(warning);
      for (const follower of followers) follower.close();
    },
  };
}

/** Follows the files of one listener. */
class CertificateFollower implements FileWatch {
  readonly #options: CertificateWatchOptions;
  readonly #watch: FileWatch;
  #plan: TlsPlan;

  constructor(files: TlsFiles, options: CertificateWatchOptions) {
    this.#options = options;
    this.#plan = files.plan;
    this.#watch = followFiles(files, {
      ...options,
      apply: (plan) => this.#replace(files.listener, plan),
      refusal: "Cannot use the new certificates. The old ones stay:",
    });
  }

  close(): void {
    this.#watch.close();
  }

  warn(): void {
    const now = this.#options.now();
    for (const { file, expiresAt } of this.#plan.certificates) {
      const left = expiresAt - now;
      if (left < WARNING_MS) this.#options.tell(describeExpiry(file, expiresAt, left));
    }
  }

  #replace(listener: number, plan: TlsPlan): ReturnType<CertificateWatchOptions["replace"]> {
    const replaced = this.#options.replace(listener, plan);
    if (!replaced.ok) return replaced;
    this.#plan = plan;
    this.#options.tell(describePlan(plan));
    this.warn();
    return replaced;
  }
}

function describePlan({ certificates }: TlsPlan): string {
  const each = certificates.map(({ file, expiresAt }) => `${quoteValue(file)} until ${formatDate(expiresAt)}`);
  return `Read the certificates again: ${each.join(", ")}.`;
}

function describeExpiry(file: string, expiresAt: number, left: number): string {
  if (left <= 0) return `Warning: the certificate ${quoteValue(file)} expired on ${formatDate(expiresAt)}. Renew it.`;
  const days = Math.floor(left / (24 * 60 * 60 * 1000));
  const when = days === 0 ? "in less than a day" : `in ${days} ${days === 1 ? "day" : "days"}`;
  return `Warning: the certificate ${quoteValue(file)} expires ${when}, on ${formatDate(expiresAt)}. Renew it.`;
}

function formatDate(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
