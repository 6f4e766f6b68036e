import type { Endpoint } from "../../address/endpoint.ts";
import type { UserParameters } from "../../protocol/user-parameters.ts";
import type { Hop } from "./hop.ts";

/** Names of the ways to choose a member. */
export type BalanceMode = "round-robin" | "random" | "least-connections" | "latency" | "hash" | "first";

/** What of a request decides about its member: with the same value it gets the same one. */
export type AffinityKey = "user" | "client" | "target" | "session";

/** A pool, as compiled from the configuration: several upstreams behind one name. */
export interface PoolPlan {
  readonly kind: "pool";
  /** Name in the configuration. */
  readonly name: string;
  /** In the order of the configuration, at least one. */
  readonly members: readonly MemberPlan[];
  readonly balance: BalanceMode | ChooseMember;
  /** What `hash` looks at. */
  readonly hash: AffinityKey;
  /** Equal keys keep their member for `forMs` since the last use; undefined for no such memory. */
  readonly sticky?: { readonly by: AffinityKey; readonly forMs: number };
  /** Active health checks; undefined for none. */
  readonly health?: HealthPlan;
  readonly eject: EjectPlan;
  /** A member that is ejected is used all the same where no other is left. */
  readonly triesEjected?: boolean;
  /** Members that one dial may try. */
  readonly attempts: number;
  /** Milliseconds for which a request waits for a member; 0 to refuse it at once. */
  readonly waitMs: number;
  /** Milliseconds in which the share of a member that comes back grows to its whole. */
  readonly slowStartMs: number;
}

/** One member of a pool. */
export interface MemberPlan {
  /** Unique in the pool: `host:port`, the name of another upstream, or what the configuration says. */
  readonly name: string;
  /** Another pool, or `direct`, may be a member. */
  readonly way: Hop | PoolPlan | "direct";
  readonly weight: number;
  /** Connections at once; 0 for no limit. */
  readonly maxConnections: number;
  /** Only used when no other member is healthy. */
  readonly backup: boolean;
}

/** When a member that fails is left out for a time. */
export interface EjectPlan {
  /** Consecutive failures of its own; 0 for never. */
  readonly failures: number;
  /** Milliseconds of the first time. Each time that follows soon takes twice as long, up to `maxMs`. */
  readonly forMs: number;
  readonly maxMs: number;
  /** Answers that eject a member at once: to CONNECT, and to forwarded requests. */
  readonly statuses: ReadonlySet<number>;
}

/** How the members are checked, whoever uses them. */
export interface HealthPlan {
  readonly probe: Probe;
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** Consecutive good and bad checks that change the state of a member. */
  readonly rise: number;
  readonly fall: number;
  /** Whether members are checked also while nobody uses the pool. */
  readonly whenIdle: boolean;
}

export type Probe =
  /** A connection, and TLS where the member speaks it. */
  | { readonly kind: "tcp" }
  /** A tunnel to `target`, with the credentials of the member. */
  | { readonly kind: "connect"; readonly target: Endpoint }
  /** A GET request through the member. */
  | {
      readonly kind: "get";
      readonly target: Endpoint;
      readonly path: string;
      readonly statuses: ReadonlySet<number>;
    };

/** What a function that chooses is told of a member. */
export interface MemberFacts {
  readonly name: string;
  /** Whether it can be chosen: healthy, below its limit, and not tried for this request yet. */
  readonly available: boolean;
  readonly health: string;
  readonly backup: boolean;
  readonly weight: number;
  readonly connections: number;
  /** Milliseconds that a connection takes: a moving average that follows peaks; undefined when unknown. */
  readonly latencyMs: number | undefined;
}

/** What a function that chooses is told of a request. */
export interface PoolQuery {
  readonly pool: string;
  readonly client: string;
  readonly user: string | undefined;
  /** The parameters in the user name. */
  readonly parameters: UserParameters;
  readonly host: string;
  readonly port: number;
  readonly members: readonly MemberFacts[];
}

/** Chooses a member by its name. Undefined leaves it to round-robin. */
export type ChooseMember = (query: PoolQuery) => string | undefined | Promise<string | undefined>;
