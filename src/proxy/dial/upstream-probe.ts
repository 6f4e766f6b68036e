import { type Connect, connectTcp } from "../../net/runtime/connect.ts";
import type { Resolver } from "../../net/dns/resolver.ts";
import { parseIp } from "../../address/ip.ts";
import { fail } from "../failure.ts";
import type { OwnListeners } from "../policy/guard.ts";
import type { Policy } from "../policy/policy.ts";
import { chooseRoute } from "../route/choose-route.ts";
import type { Hop, KnownUpstreams, Route } from "../route/route.ts";
import { lookUpHost } from "../resolve/resolve-host.ts";
import { askFamilies, raceConnect, RFC_8305_PACE } from "./connect-race.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";

/** What of the configuration says where the default way leads. */
export interface UpstreamProbeRuntime extends KnownUpstreams {
  readonly policy: Pick<Policy, "fallback">;
}

export interface UpstreamProbeServices {
  readonly resolver: Resolver;
  readonly own: OwnListeners;
  /** How sockets are connected; over TCP when absent. */
  readonly connect?: Connect;
}

/** Milliseconds that an upstream has to accept a connection: whoever asks for readiness waits no longer. */
const PROBE_MS = 2000;

/** Milliseconds for which a finding holds, so that nobody can make us knock on an upstream's door at will. */
const REMEMBER_MS = 3000;

/**
 * Knows whether the default way leads anywhere: whether the upstream that it
 * begins with accepts connections. Looks when it is asked, by connecting and
 * saying nothing, one look at a time.
 */
export class UpstreamProbe {
  readonly #services: UpstreamProbeServices;
  readonly #now: () => number;
  #found: { readonly hop: Hop; readonly open: boolean; readonly at: number } | undefined;
  #looking: Promise<void> | undefined;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(services: UpstreamProbeServices, now = () => performance.now()) {
    this.#services = services;
    this.#now = now;
  }

  /** A direct way is always open, and so is one that is denied by default: rules may know others. */
  isOpen(runtime: UpstreamProbeRuntime): boolean | Promise<boolean> {
    const { fallback } = runtime.policy;
    if (fallback.kind === "deny") return true;
    const decision = { verdict: "allow", rule: "", allowPrivate: false, via: fallback.via } as const;
    const route = chooseRoute({ runtime, target: undefined }, decision);
    if (!route.ok) return false;
    const [first] = route.value.hops;
    return first === undefined || (this.#recall(first) ?? this.#find(first, route.value));
  }

  #recall(hop: Hop): boolean | undefined {
    const found = this.#found;
    return found?.hop === hop && this.#now() - found.at < REMEMBER_MS ? found.open : undefined;
  }

  async #find(hop: Hop, route: Route): Promise<boolean> {
    // After a reload the look that is under way may be at another upstream.
    while (this.#looking !== undefined) await this.#looking;
    const known = this.#recall(hop);
    if (known !== undefined) return known;
    const look = this.#look(hop, route);
    const conclude = (open?: boolean): void => {
      if (open !== undefined) this.#found = { hop, open, at: this.#now() };
      this.#looking = undefined;
    };
    this.#looking = look.then(conclude, () => conclude());
    return look;
  }

  async #look({ endpoint: { host, port } }: Hop, { sourceAddress }: Route): Promise<boolean> {
    const { resolver, own, connect = connectTcp } = this.#services;
    const limit = new TimeLimit(PROBE_MS);
    const lookups = lookUpHost(host, resolver);
    const reached = await raceConnect(askFamilies(lookups), {
      port,
      source: sourceAddress === undefined ? undefined : parseIp(sourceAddress),
      refuse: (ip) => (own.has(ip, port) ? fail("proxy_loop").failure : undefined),
      connect,
      limit,
      pace: RFC_8305_PACE,
    });
    limit.release();
    lookups.release();
    if (reached.ok) reached.value.conn.close();
    return reached.ok;
  }
}
