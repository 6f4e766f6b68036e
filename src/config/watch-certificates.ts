import type { TlsPlan } from "../proxy/accept/listener-tls.ts";
import { describeMissingIssuer, type TlsFiles } from "./compile-tls.ts";
import { type Applied, followFiles, type FollowOptions } from "./follow-files.ts";
import { quoteValue } from "./problem.ts";
import type { FileWatch } from "./watch-file.ts";

export interface CertificateWatchOptions extends Omit<FollowOptions<TlsPlan>, "apply" | "refusal"> {
  /** Puts a plan into effect. */
  readonly replace: (listener: TlsFiles["listener"], plan: TlsPlan) => Applied;
}

/** How long before the end of a certificate the operator is warned: Let's Encrypt renews then, too. */
const WARNING_MS = 30 * 24 * 60 * 60 * 1000;
/** How often a warning is repeated. */
const WARNING_PERIOD_MS = 24 * 60 * 60 * 1000;

/**
 * Follows the certificates of all listeners: reads them again when their files
 * change, and warns 30 days before the end of each, once a day.
 */
export function watchCertificates(listeners: readonly TlsFiles[], options: CertificateWatchOptions): FileWatch {
  const { tell, now, replace } = options;
  const plans = new Map(listeners.map(({ listener, plan }) => [listener, plan]));
  const warn = ({ certificates }: TlsPlan): void => {
    for (const { file, expiresAt } of certificates) {
      const left = expiresAt - now();
      if (left < WARNING_MS) tell(describeExpiry(file, expiresAt, left));
    }
  };
  const watches = listeners.map((files) =>
    followFiles(files, {
      ...options,
      refusal: "Cannot use the new certificates. The old ones stay:",
      apply(plan) {
        const replaced = replace(files.listener, plan);
        if (!replaced.ok) return replaced;
        plans.set(files.listener, plan);
        tell(describePlan(plan));
        for (const certificate of plan.certificates) {
          const missing = describeMissingIssuer(certificate);
          if (missing !== undefined) tell(`Warning: ${missing}`);
        }
        warn(plan);
        return replaced;
      },
    }),
  );
  const warnOfAll = () => plans.forEach(warn);
  warnOfAll();
  const warning = setInterval(warnOfAll, WARNING_PERIOD_MS);
  warning.unref();
  return {
    close() {
      clearInterval(warning);
      for (const watch of watches) watch.close();
    },
  };
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
