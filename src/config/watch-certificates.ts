import type { TlsPlan } from "../proxy/accept/listener-tls.ts";
import { describeMissingIssuer, type TlsFiles } from "./compile-tls.ts";
import { type Applied, followFiles, type FollowOptions } from "./follow-files.ts";
import { quoteValue } from "./problem.ts";
import type { FileWatch } from "./watch-file.ts";

export interface CertificateWatchOptions extends Omit<FollowOptions<TlsPlan>, "apply" | "refusal"> {
  /** Puts a plan into effect. */
  readonly replace: (listener: TlsFiles["listener"], plan: TlsPlan) => Applied;
}

/** Follows the certificates of all listeners: reads them again when their files change. */
export function watchCertificates(listeners: readonly TlsFiles[], options: CertificateWatchOptions): FileWatch {
  const { tell, replace } = options;
  const watches = listeners.map((files) =>
    followFiles(files, {
      ...options,
      refusal: "Cannot use the new certificates. The old ones stay:",
      apply(plan) {
        const replaced = replace(files.listener, plan);
        if (!replaced.ok) return replaced;
        tell(describePlan(plan), "info");
        for (const certificate of plan.certificates) {
          const missing = describeMissingIssuer(certificate);
          if (missing !== undefined) tell(missing, "warn");
        }
        return replaced;
      },
    }),
  );
  return {
    close() {
      for (const watch of watches) watch.close();
    },
  };
}

function describePlan({ certificates }: TlsPlan): string {
  const each = certificates.map(({ file, expiresAt }) => `${quoteValue(file)} until ${formatDate(expiresAt)}`);
  return `Read the certificates again: ${each.join(", ")}.`;
}

function formatDate(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
