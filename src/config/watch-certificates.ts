import type { TlsPlan } from "../proxy/listen/listener-tls.ts";
import type { TlsFiles } from "./compile-tls.ts";
import { formatProblem, quoteValue } from "./problem.ts";
import type { FileText } from "./read-file.ts";
import { type FileWatch, watchFile } from "./watch-file.ts";

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
  readonly #files: TlsFiles;
  readonly #options: CertificateWatchOptions;
  /** What the files hold by now, by name; or why one of them cannot be read. */
  readonly #read = new Map<string, FileText>();
  readonly #watches: readonly FileWatch[];
  #plan: TlsPlan;
  #settling: Timer | undefined;

  constructor(files: TlsFiles, options: CertificateWatchOptions) {
    this.#files = files;
    this.#options = options;
    this.#plan = files.plan;
    this.#watches = files.files.map(({ name, path, text }) => {
      this.#read.set(name, { ok: true, text });
      return watchFile(path, {
        known: text,
        kind: "pem",
        tell: (read) => this.#changed(name, read),
        ...(options.pollMs !== undefined && { pollMs: options.pollMs }),
      });
    });
  }

  close(): void {
    clearTimeout(this.#settling);
    for (const watch of this.#watches) watch.close();
  }

  warn(): void {
    const now = this.#options.now();
    for (const { file, expiresAt } of this.#plan.certificates) {
      const left = expiresAt - now;
      if (left < WARNING_MS) this.#options.tell(describeExpiry(file, expiresAt, left));
    }
  }

  /** A certificate and its key change one after the other: what is in between is no mistake. */
  #changed(name: string, read: FileText): void {
    this.#read.set(name, read);
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#replace(), this.#options.settleMs ?? 500);
  }

  #replace(): void {
    const { tell } = this.#options;
    const texts = new Map<string, string>();
    const problems: string[] = [];
    for (const [name, read] of this.#read) {
      if (read.ok) texts.set(name, read.text);
      else problems.push(`Cannot read ${quoteValue(name)}: ${read.reason}.`);
    }
    const compiled = this.#files.recompile(texts, this.#options.now());
    if (!compiled.ok) problems.push(...compiled.problems.map(formatProblem));
    if (compiled.ok && problems.length === 0) {
      const replaced = this.#options.replace(this.#files.listener, compiled.value);
      if (replaced.ok) {
        this.#plan = compiled.value;
        tell(describePlan(compiled.value));
        this.warn();
        return;
      }
      problems.push(replaced.message);
    }
    tell("Cannot use the new certificates. The old ones stay:");
    for (const problem of problems) tell(`  ${problem}`);
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
