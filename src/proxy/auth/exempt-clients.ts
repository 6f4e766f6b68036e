import type { AddressSet } from "../../address/address-set.ts";
import type { Cidr } from "../../address/cidr.ts";
import type { Ip } from "../../address/ip.ts";
import { type RangeIndex, RangeIndexBuilder } from "../../address/range-index.ts";

/** Clients that are asked for no credentials. */
export interface ExemptRange {
  readonly from: readonly Cidr[];
  /** The user that they are for rules, limits and logs; undefined for none. */
  readonly user: string | undefined;
}

/** The ranges of clients that need no credentials. Of several ranges around a client the narrowest one counts. */
export class ExemptClients {
  readonly #exempt: readonly ExemptRange[];
  readonly #ranges: RangeIndex;

  constructor(exempt: readonly ExemptRange[]) {
    this.#exempt = exempt;
    const builder = new RangeIndexBuilder();
    for (const [at, { from }] of exempt.entries()) for (const range of from) builder.add(range, at);
    this.#ranges = builder.build((known, at) => known ?? at);
  }

  /**
   * Finds out whether a client needs no credentials. Peers of `proxyFrom` speak for clients (PROXY protocol):
   * where such a peer does not say for whom, the address is its own and proves nothing.
   */
  find(client: Ip, proxyFrom?: AddressSet): ExemptRange | undefined {
    const range = this.#ranges.find(client);
    return range === undefined || proxyFrom?.has(client) === true ? undefined : this.#exempt[range.value];
  }
}
