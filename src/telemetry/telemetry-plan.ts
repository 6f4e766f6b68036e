import type { AddressSet } from "../address/address-set.ts";
import type { Secret } from "../secret.ts";

/** What is told to which collector. */
export interface TelemetryPlan {
  /** Without the paths of the signals, and without a slash at the end. */
  readonly url: string;
  /** The part of requests that is traced, from 0 to 1. */
  readonly sample: number;
  /** Clients whose `traceparent` is continued; undefined for none. */
  readonly trustFrom: AddressSet | undefined;
  /** Names and values of fields of the requests to the collector. */
  readonly headers: readonly (readonly [name: string, value: Secret])[];
  /** PEM texts of the only roots to trust, or those of the program. */
  readonly ca: readonly string[] | undefined;
  readonly service: string;
  /** Milliseconds between two exports of metrics; undefined for none. */
  readonly metricsMs: number | undefined;
}

/** What exports depend on, as one text. It has the secrets. */
export function writeDestination({ url, headers, ca, service, metricsMs }: TelemetryPlan): string {
  return JSON.stringify([url, headers.map(([name, value]) => [name, value.reveal()]), ca, service, metricsMs]);
}
