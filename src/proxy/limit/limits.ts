import type { ClientPrefix } from "../../address/client-key.ts";
import type { Bandwidth } from "../../net/conn/token-buckets.ts";
import type { HeadLimits } from "../../protocol/http1/head-parser.ts";

/** New tunnels and forwarded requests over time: a token bucket. */
export interface Rate {
  readonly perSecond: number;
  /** That may come at once, after a time without any. At least 1. */
  readonly burst: number;
}

/** What everybody, one user or one client may use at once. */
export interface Share {
  /** Client connections at once; 0 for no limit. */
  readonly connections: number;
  /** Undefined for no limit. */
  readonly rate: Rate | undefined;
  /** Undefined for no limit. */
  readonly bandwidth: Bandwidth | undefined;
}

/** Bytes up and down together; undefined for no limit. */
export interface Quota {
  readonly day: number | undefined;
  readonly month: number | undefined;
}

/** What one user may use. */
export interface UserShare extends Share {
  /** Undefined for no limit. */
  readonly quota: Quota | undefined;
}

/** What may be used of one target. */
export type TargetShare = Pick<Share, "connections" | "rate">;

export interface Limits {
  /** Over all listeners. Its `connections` is never 0. */
  readonly inAll: Share;
  readonly perUser: UserShare;
  /** The users that have limits of their own, whole: with what they take from `perUser`. */
  readonly users: ReadonlyMap<string, UserShare>;
  readonly perClient: Share;
  readonly perTarget: TargetShare;
  /** Whether any rate is limited, or what goes to a target: then each request asks. */
  readonly hasRequestLimits: boolean;
  /** Whether any user has a quota. */
  readonly hasQuotas: boolean;
  /** What happens to the tunnels of a user who reaches a quota: they end, or go on to their end. */
  readonly onQuota: "end" | "finish";
  /** The prefix of an address that identifies a client, wherever clients are counted. */
  readonly clientPrefix: ClientPrefix;
  readonly head: HeadLimits;
}

/** What a user may use. Nobody has limits of their own under a name that no user has. */
export function findUserShare({ users, perUser }: Pick<Limits, "users" | "perUser">, user: string): UserShare {
  return users.get(user) ?? perUser;
}
