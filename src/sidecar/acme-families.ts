import { counter, type Family, gauge } from "./prometheus-text.ts";

/** A certificate that an authority issues; milliseconds since the epoch. */
export interface OrderedCertificate {
  readonly names: readonly string[];
  readonly issued: number;
  readonly failed: number;
  /** Failures since the last success. */
  readonly failures: number;
  readonly nextAt: number | undefined;
}

/** Puts the orders of certificates into families, each by its first name. */
export function collectAcmeFamilies(all: readonly OrderedCertificate[]): Family[] {
  const ordered = mergeByName(all);
  const each = (read: (certificate: OrderedCertificate) => number) =>
    ordered.map((certificate) => ({ labels: { name: certificate.names[0] ?? "" }, value: read(certificate) }));
  return [
    counter(
      "penstock_acme_orders_total",
      "Orders of certificates that are over, by the first name of the certificate, since the process began.",
      ordered.flatMap(({ names: [name = ""], issued, failed }) => [
        { labels: { name, result: "issued" }, value: issued },
        { labels: { name, result: "failed" }, value: failed },
      ]),
    ),
    gauge(
      "penstock_acme_failures",
      "Orders of a certificate that failed since the last one that did not, those of earlier processes included.",
      each(({ failures }) => failures),
    ),
    gauge(
      "penstock_acme_next_order_timestamp_seconds",
      "Unix time at which a certificate is ordered next; 0 where this process orders none.",
      each(({ nextAt = 0 }) => Math.round(nextAt / 1000)),
    ),
  ];
}

/** Of certificates with the same first name, the sums, the worst and the next: the same labels twice are no metrics. */
function mergeByName(all: readonly OrderedCertificate[]): readonly OrderedCertificate[] {
  const byName = new Map<string, OrderedCertificate>();
  for (const one of all) {
    const [name = ""] = one.names;
    const other = byName.get(name);
    byName.set(name, other === undefined ? one : merge(one, other));
  }
  return [...byName.values()];
}

function merge(one: OrderedCertificate, other: OrderedCertificate): OrderedCertificate {
  const next = [one.nextAt, other.nextAt].filter((at) => at !== undefined);
  return {
    names: one.names,
    issued: one.issued + other.issued,
    failed: one.failed + other.failed,
    failures: Math.max(one.failures, other.failures),
    nextAt: next.length === 0 ? undefined : Math.min(...next),
  };
}
