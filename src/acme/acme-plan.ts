import type { OrderPlan } from "./obtain.ts";

/** A record for DNS-01. */
export interface DnsRecord {
  /** Such as `_acme-challenge.proxy.example.org`, without a dot at the end. */
  readonly name: string;
  /** The text of the TXT record. */
  readonly value: string;
}

/** Adds or removes a TXT record. It may be asynchronous. */
export type ChangeDnsRecord = (record: DnsRecord) => unknown;

/** How control of the names is shown. */
export type ChallengePlan =
  | { readonly type: "tls-alpn-01" }
  /** A small listener of our own, open only while the authority looks. */
  | { readonly type: "http-01"; readonly port: number }
  /** A web server beside us serves the files of that folder. */
  | { readonly type: "http-01"; readonly webroot: string }
  | {
      readonly type: "dns-01";
      readonly add: ChangeDnsRecord;
      readonly remove: ChangeDnsRecord;
      /** Milliseconds until all name servers have the record. */
      readonly waitMs: number;
    };

/** A certificate that an authority issues and renews. */
export interface AcmePlan extends OrderPlan {
  /** URL. */
  readonly directory: string;
  /** PEM texts of the only roots to trust for the directory; those of the program when absent. */
  readonly ca: readonly string[] | undefined;
  readonly challenge: ChallengePlan;
}

/** Equal for plans of the same certificate, however it is ordered. */
export function identifyCertificate({ directory, names, profile }: Omit<AcmePlan, "challenge">): string {
  return JSON.stringify([directory, names.toSorted(), profile ?? null]);
}
