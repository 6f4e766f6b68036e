import type { Host } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";

/** A host that has to be resolved. */
export type NamedHost = Extract<Host, { kind: "name" }>;

/** The result for one family. */
export type Lookup =
  /** At least one address, in the order of the answer. `name` is the absolute name that has them. */
  | { readonly ok: true; readonly name: string; readonly addresses: readonly Ip[] }
  /** `note` is a word such as `ENOTFOUND` (no such name, or none of that family) or `ESERVFAIL`. */
  | {
      readonly ok: false;
      readonly detail: "dns_error" | "dns_timeout" | "too_many_lookups";
      readonly note: string;
    };

/**
 * The addresses of a name, by family: known, or to come. Both belong to the
 * same absolute name. Neither family waits for the other one.
 */
export interface Lookups {
  readonly 4: Lookup | Promise<Lookup>;
  readonly 6: Lookup | Promise<Lookup>;
  /** The caller waits no more. Call it once: a lookup that nobody waits for is given up. */
  release(): void;
}

/** Turns names into addresses. */
export interface Resolver {
  /** Looks both families up; at once when the answer is known. Never rejects. `client` is undefined for the proxy itself. */
  find(host: NamedHost, client?: Ip): Lookups;
  /** Whether `find` may answer with the addresses of another name: by the search list, or by the hosts file. */
  mayComplete(host: NamedHost): boolean;
}

/** The note for a name that does not exist, or has no address of that family. */
export const NOT_FOUND = "ENOTFOUND";

/** Lookups whose answers are known. */
export function knowLookups(four: Lookup, six: Lookup): Lookups {
  return { 4: four, 6: six, release() {} };
}
