import { counter, type Family, gauge } from "./prometheus-text.ts";

/** How sharing with other proxies goes. */
export interface FleetSource {
  readonly up: boolean;
  readonly proxies: number;
  readonly exchanges: number;
  /** By reason, a closed set. */
  readonly failures: ReadonlyMap<string, number>;
}

/** Puts the sharing of counts into families. */
export function collectFleetFamilies({ up, proxies, exchanges, failures }: FleetSource): Family[] {
  return [
    gauge("penstock_redis_up", "1 while Redis can be used, else 0.", up ? 1 : 0),
    gauge("penstock_fleet_proxies", "Proxies that share limits through Redis, this one among them.", proxies),
    counter("penstock_redis_exchanges_total", "Exchanges with Redis that were answered.", exchanges),
    counter(
      "penstock_redis_failures_total",
      "Exchanges with Redis that failed, and keys that it could not work with, by reason.",
      Array.from(failures, ([reason, value]) => ({ labels: { reason }, value })),
    ),
  ];
}
