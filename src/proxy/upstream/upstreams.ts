import { formatEndpoint } from "../../address/endpoint.ts";
import type { Outcome } from "../failure.ts";
import type { Login } from "../route/hop-login.ts";
import type { Hop } from "../route/hop.ts";
import { DigestClient } from "./digest-client.ts";

/** Milliseconds for which the result of a probe holds, so that requests for readiness cannot flood an upstream. */
const PROBE_HOLDS_MS = 3000;

/** Users whose last challenge is kept: one, unless the user name has placeholders. */
const MAX_DIGEST_USERS = 256;

/** How many dials an upstream has, and how those before ended. */
export interface UpstreamLoad {
  dialling: number;
  dialled: number;
  /** Dials that failed because of this upstream, not because of what is behind it. */
  failed: number;
}

/**
 * An upstream proxy as long as its address stays the same: what is known of it
 * outlives requests and snapshots. What a snapshot says about it is its `Hop`.
 */
export class Upstream {
  readonly name: string;
  readonly load: UpstreamLoad = { dialling: 0, dialled: 0, failed: 0 };
  /** By user, the one that was made first first. */
  readonly #digests = new Map<string, DigestClient>();
  #probed: { readonly open: boolean; readonly at: number } | undefined;
  #probing: Promise<boolean> | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Counts a dial that leads through it. */
  async count<Ended extends Outcome<unknown>>(dial: Promise<Ended>): Promise<Ended> {
    this.load.dialling += 1;
    try {
      const outcome = await dial;
      if (outcome.ok) this.load.dialled += 1;
      else if (outcome.failure.nextHop === this.name) this.load.failed += 1;
      return outcome;
    } finally {
      this.load.dialling -= 1;
    }
  }

  /** The Digest client for our credentials. A user that was not here lately, or has another password, begins afresh. */
  digest({ user, password }: Login): DigestClient {
    const known = this.#digests.get(user);
    if (known?.isFor(user, password) === true) return known;
    const created = new DigestClient(user, password);
    this.#digests.delete(user);
    if (this.#digests.size >= MAX_DIGEST_USERS)
      for (const oldest of this.#digests.keys().take(1)) this.#digests.delete(oldest);
    this.#digests.set(user, created);
    return created;
  }

  /**
   * Whether it accepts connections: the last result while that holds, else what
   * `probe` finds out, one probe at a time. `now` is a monotonic clock in milliseconds.
   */
  isOpen(probe: () => Promise<boolean>, now: () => number): boolean | Promise<boolean> {
    const known = this.#probed;
    if (known !== undefined && now() - known.at < PROBE_HOLDS_MS) return known.open;
    return (this.#probing ??= this.#probe(probe, now));
  }

  async #probe(probe: () => Promise<boolean>, now: () => number): Promise<boolean> {
    try {
      const open = await probe();
      this.#probed = { open, at: now() };
      return open;
    } finally {
      this.#probing = undefined;
    }
  }
}

/** Proxies named by PAC files that are known at once. */
const MAX_OF_PACS = 1024;

interface NamedUpstream {
  readonly address: string;
  readonly upstream: Upstream;
  readonly ofPac: string | undefined;
}

/** The upstreams of one gate. They are known by name across snapshots. */
export class Upstreams {
  readonly #byName = new Map<string, NamedUpstream>();
  /** Names that PAC files gave, the one that was made first first. */
  readonly #ofPacs = new Set<string>();
  /** Requests under an older snapshot keep the upstream of their hop. */
  readonly #byHop = new WeakMap<Hop, Upstream>();

  /** Finds the upstream of a hop: the one that had its name before, unless that was at another address. */
  find(hop: Hop): Upstream {
    const known = this.#byHop.get(hop);
    if (known !== undefined) return known;
    const address = `${hop.kind} ${formatEndpoint(hop.endpoint)} ${hop.sourceAddress ?? ""}`;
    const named = this.#byName.get(hop.name);
    const upstream = named?.address === address ? named.upstream : new Upstream(hop.name);
    this.#byName.set(hop.name, { address, upstream, ofPac: hop.ofPac });
    this.#byHop.set(hop, upstream);
    if (hop.ofPac !== undefined) this.#bound(hop.name);
    return upstream;
  }

  /** Forgets every name but those of `hops` and those that the PAC files of `pacs` gave: what a reload has removed begins afresh when it comes back. */
  retain(hops: Iterable<Hop>, pacs: ReadonlyMap<string, unknown> = new Map()): void {
    const names = new Set(Iterator.from(hops).map(({ name }) => name));
    for (const [name, { ofPac }] of this.#byName)
      if (!names.has(name) && (ofPac === undefined || !pacs.has(ofPac))) this.#forget(name);
  }

  #bound(name: string): void {
    this.#ofPacs.delete(name);
    this.#ofPacs.add(name);
    if (this.#ofPacs.size <= MAX_OF_PACS) return;
    for (const oldest of this.#ofPacs.keys().take(1)) this.#forget(oldest);
  }

  #forget(name: string): void {
    this.#byName.delete(name);
    this.#ofPacs.delete(name);
  }

  /** How many are known by name. */
  get size(): number {
    return this.#byName.size;
  }
}
