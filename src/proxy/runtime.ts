import type { AddressSet } from "../address/address-set.ts";
import type { Authenticator } from "./auth/authenticate.ts";
import type { ForwardSettings } from "./exchange/forward-settings.ts";
import type { InspectSettings } from "./tunnel/inside-facts.ts";
import type { Limits } from "./limit/limits.ts";
import type { Nat64Prefixes } from "./policy/nat64.ts";
import type { PacPlan } from "./pac/pac-plan.ts";
import type { KnownUpstreams } from "./route/route.ts";
import type { Policy } from "./policy/policy.ts";

/**
 * The compiled, immutable configuration. A request captures it once, so a reload
 * never changes a request midway.
 */
export interface Runtime extends KnownUpstreams {
  readonly authenticator: Authenticator;
  readonly policy: Policy;
  /** Upstreams that PAC files choose, by name; undefined when there are none. */
  readonly pacs?: ReadonlyMap<string, PacPlan>;
  /** Prefixes whose addresses are judged by the IPv4 address inside; the well-known one when absent. */
  readonly nat64?: Nat64Prefixes;
  /** How HTTP requests are forwarded. */
  readonly forward: ForwardSettings;
  /** What is inspected in tunnels. */
  readonly inspect: InspectSettings;
  readonly timeouts: Timeouts;
  readonly limits: Limits;
  /** Client addresses that may connect at all; undefined for everyone. */
  readonly clients?: AddressSet;
  /** Name of this proxy in `Proxy-Agent`, `Proxy-Status`, `Via`. */
  readonly agent: string;
  /** The response to a CONNECT whose tunnel is open. */
  readonly established: Uint8Array;
}

/** All in milliseconds. */
export interface Timeouts {
  /** From accept to the complete request head. */
  readonly handshakeMs: number;
  /** For resolving, dialling and the handshakes with all hops together. */
  readonly connectMs: number;
  /** From a complete request to the head of its response, when it is forwarded; 0 for no limit. */
  readonly responseMs: number;
  /** Without a byte in either direction; 0 for never. */
  readonly idleMs: number;
  /** For a function of the configuration to answer. */
  readonly hookMs: number;
  /** For an operator to answer, when a rule asks. */
  readonly askMs: number;
}

/** Holds the current snapshot; swapping it is one assignment. */
export class RuntimeHolder {
  #current: Runtime;

  constructor(initial: Runtime) {
    this.#current = initial;
  }

  get current(): Runtime {
    return this.#current;
  }

  /** Gives `next` to new requests. Requests under way keep their snapshot. */
  swap(next: Runtime): void {
    this.#current = next;
  }
}
