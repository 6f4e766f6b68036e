import { formatEndpoint } from "../../address/endpoint.ts";
import { clientKey } from "../../address/client-key.ts";
import type { RequestRecord } from "../record/request-record.ts";
import type { Period } from "./calendar.ts";
import type { QuotaClock } from "./quota-clock.ts";
import type { Accounts, MovedBytes, Use } from "./use.ts";
import { UseTable } from "./use-table.ts";

/** By what use is counted. */
export const USAGE_KINDS = ["user", "client", "target", "upstream"] as const;
export type UsageKind = (typeof USAGE_KINDS)[number];

/** Keys in a table. Upstreams are of the configuration. */
const SIZES: Readonly<Record<UsageKind, number>> = { user: 65_536, client: 16_384, target: 16_384, upstream: 4096 };

export interface UsageOptions {
  readonly clock: QuotaClock;
  /** A user must not be forgotten: something is not kept yet, or a quota is reached. */
  readonly holdsUser?: (use: Use) => boolean;
  /** Keys in each table, for tests. */
  readonly size?: number;
}

/**
 * Counts bytes and requests by user, client, target and upstream. Bytes are those
 * of access lines. Those of a flow under way count when somebody looks; the
 * record of the flow has what was counted, so each byte counts once.
 */
export class Usage {
  readonly tables: Readonly<Record<UsageKind, UseTable>>;
  readonly clock: QuotaClock;
  /** Whether somebody wants to know. */
  enabled = true;
  /** Users of whom something is not kept yet; undefined where nothing is kept. */
  unsaved: Set<Use> | undefined = undefined;
  /** Is told of each user who has used something; undefined where nothing is shared. */
  onUse: ((user: string) => void) | undefined = undefined;

  constructor({ clock, holdsUser, size }: UsageOptions) {
    this.clock = clock;
    this.tables = {
      user: new UseTable(size ?? SIZES.user, holdsUser),
      client: new UseTable(size ?? SIZES.client),
      target: new UseTable(size ?? SIZES.target),
      upstream: new UseTable(size ?? SIZES.upstream),
    };
  }

  /** Counts a request that is over, with what it moved. */
  finished(record: RequestRecord, moved: MovedBytes, now: number): void {
    this.#add(record, moved, 1, this.clock.recentPeriod(now));
  }

  /** Counts what a flow under way has moved since the last look. */
  look(record: RequestRecord, up: number, down: number): void {
    const { counted } = record;
    if (counted?.up === up && counted.down === down) return;
    this.#add(record, { up, down }, 0, this.clock.period);
    if (counted === undefined) record.counted = { up, down };
    else {
      counted.up = up;
      counted.down = down;
    }
  }

  /** A flow came from another process, where `moved` was counted. */
  received(record: RequestRecord, moved: MovedBytes): void {
    record.counted = { up: moved.up, down: moved.down };
  }

  /** A flow goes on in another process, which counts what follows. */
  gaveAway(record: RequestRecord, moved: MovedBytes): void {
    this.#add(record, moved, 0, this.clock.period);
  }

  #add(record: RequestRecord, moved: MovedBytes, requests: number, period: Period): void {
    const { counted, failure } = record;
    const limit = requests === 0 ? undefined : failure?.limit;
    const up = counted === undefined ? moved.up : moved.up - counted.up;
    const down = counted === undefined ? moved.down : moved.down - counted.down;
    const { user, client, target, upstream } = this.#findAccounts(record);
    addTo(user, period, up, down, requests, limit);
    if (user !== undefined) {
      this.unsaved?.add(user);
      this.onUse?.(user.key);
    }
    addTo(client, period, up, down, requests, limit);
    addTo(target, period, up, down, requests, limit);
    addTo(upstream, period, up, down, requests, undefined);
  }

  /** Those of the request before on a kept connection, nearly always. */
  #findAccounts(record: RequestRecord): Accounts {
    const { connection, target, route } = record;
    const user = findUser(record);
    const { accounts } = connection;
    const forgotten = this.#forgotten;
    if (
      accounts !== undefined &&
      accounts.forgotten === forgotten &&
      accounts.userName === user &&
      accounts.endpoint === target &&
      accounts.route === route
    )
      return accounts;
    const { tables } = this;
    const found = {
      user: openIn(tables.user, user),
      client: openIn(tables.client, findKey.client(record)),
      target: openIn(tables.target, findKey.target(record)),
      upstream: openIn(tables.upstream, findKey.upstream(record)),
      forgotten: this.#forgotten,
      userName: user,
      endpoint: target,
      route,
    };
    // A tunnel is the last request of its connection.
    if (record.scheme !== undefined) connection.accounts = found;
    return found;
  }

  get #forgotten(): number {
    const { user, client, target, upstream } = this.tables;
    return user.forgotten + client.forgotten + target.forgotten + upstream.forgotten;
  }
}

function addTo(
  use: Use | undefined,
  period: Period,
  up: number,
  down: number,
  requests: number,
  limit: string | undefined,
): void {
  if (use === undefined) return;
  use.add(period, up, down, requests);
  if (limit !== undefined) use.refuse(limit);
}

function openIn(table: UseTable, key: string | undefined): Use | undefined {
  return key === undefined ? undefined : table.open(key);
}

/** The user of a request. Until credentials are verified, a name is only claimed, and nobody else's use. */
export function findUser({ user, stage, failure }: RequestRecord): string | undefined {
  return stage === "authenticate" && failure?.limit === undefined ? undefined : user;
}

/** The keys under which a request is counted; undefined where it has none, or none yet. */
export const findKey: Readonly<Record<UsageKind, (record: RequestRecord) => string | undefined>> = {
  user: findUser,
  client: ({ client, runtime }) => clientKey(client, runtime.limits.clientPrefix),
  target: ({ target }) => target && formatEndpoint(target),
  upstream: ({ route }) => route?.name,
};
