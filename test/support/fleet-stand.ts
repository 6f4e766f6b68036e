import { findConnectFault } from "../../src/net/redis/find-connect-fault.ts";
import { Fleet, type FleetChange, type FleetOptions } from "../../src/state/redis/fleet.ts";
import { RedisLink } from "../../src/state/redis/redis-link.ts";
import type { RedisPlan } from "../../src/state/redis/redis-plan.ts";
import { SharedCounts } from "../../src/state/redis/shared-counts.ts";
import { SharedRates } from "../../src/state/redis/shared-rates.ts";
import { SharedSessions } from "../../src/state/redis/shared-sessions.ts";
import { SharedUse } from "../../src/state/redis/shared-use.ts";

/** Connections by key, with one limit. */
export class Counts {
  readonly limit: number;
  readonly held = new Map<string, number>();
  readonly leases = new Map<string, number>();
  changed: (key: string) => void = () => {};
  proxies = 1;

  constructor(limit: number) {
    this.limit = limit;
  }

  room(key: string): number {
    return this.leases.get(key) ?? Math.ceil(this.limit / this.proxies);
  }

  take(key: string): boolean {
    const held = this.held.get(key) ?? 0;
    const taken = held < this.room(key);
    if (taken) this.held.set(key, held + 1);
    this.changed(key);
    return taken;
  }

  give(key: string): void {
    this.held.set(key, (this.held.get(key) ?? 0) - 1);
    this.changed(key);
  }

  read(key: string) {
    return { held: this.held.get(key) ?? 0, limit: this.limit };
  }

  lease(key: string, lease: number): void {
    this.leases.set(key, lease);
  }

  share(proxies: number): void {
    this.proxies = proxies;
  }

  stop(): void {
    this.changed = () => {};
  }
}

interface Bucket {
  taken: number;
  tokens: number;
  users: number;
  at: number;
}

/** Token buckets by key, with one rate. */
export class Buckets {
  readonly perSecond: number;
  readonly burst: number;
  readonly buckets = new Map<string, Bucket>();
  changed: (key: string) => void = () => {};
  proxies = 1;

  constructor(perSecond: number, burst: number) {
    this.perSecond = perSecond;
    this.burst = burst;
  }

  #find(key: string): Bucket {
    const now = performance.now();
    const known = this.buckets.get(key);
    if (known === undefined) {
      const made = { taken: 0, tokens: this.burst / this.proxies, users: this.proxies, at: now };
      this.buckets.set(key, made);
      return made;
    }
    const rate = this.perSecond / known.users;
    known.tokens = Math.min(Math.max(1, this.burst / known.users), known.tokens + ((now - known.at) * rate) / 1000);
    known.at = now;
    return known;
  }

  take(key: string): boolean {
    const bucket = this.#find(key);
    // As `RateBucket` does: it is asked before anything is taken.
    this.changed(key);
    const taken = bucket.tokens >= 1;
    if (taken) {
      bucket.tokens -= 1;
      bucket.taken += 1;
    }
    return taken;
  }

  read(key: string) {
    if (!this.buckets.has(key)) return undefined;
    const { taken, tokens } = this.#find(key);
    return { taken, tokens, perSecond: this.perSecond, burst: this.burst };
  }

  fill(key: string, tokens: number, users: number): void {
    Object.assign(this.#find(key), { tokens, users });
  }

  share(proxies: number): void {
    this.proxies = proxies;
  }

  stop(): void {
    this.changed = () => {};
  }
}

/** Bytes by user, in one day. */
export class Bytes {
  readonly mine = new Map<string, number>();
  readonly elsewhere = new Map<string, number>();
  spans: readonly string[] = ["day:2026-11-28"];
  changed: (user: string) => void = () => {};

  get users(): Iterable<string> {
    return this.mine.keys();
  }

  add(user: string, bytes: number): void {
    this.mine.set(user, (this.mine.get(user) ?? 0) + bytes);
    this.changed(user);
  }

  read(user: string) {
    return this.spans.map((name) => ({ name, bytes: this.mine.get(user) ?? 0 }));
  }

  setElsewhere(user: string, _span: string, bytes: number): void {
    this.elsewhere.set(user, Math.max(bytes, this.elsewhere.get(user) ?? 0));
  }

  total(user: string): number {
    return (this.mine.get(user) ?? 0) + (this.elsewhere.get(user) ?? 0);
  }
}

export interface FleetStand extends AsyncDisposable {
  readonly fleet: Fleet;
  readonly counts: Counts;
  readonly rates: Buckets;
  readonly bytes: Bytes;
  readonly use: SharedUse;
  readonly sessions: SharedSessions;
  /** Sessions that other members have told. */
  readonly followed: readonly string[];
  readonly reports: readonly FleetChange[];
}

export interface FleetStandOptions extends Partial<Omit<RedisPlan, "prefix">> {
  readonly port: number;
  readonly id: string;
  readonly prefix?: string;
  readonly limit?: number;
  readonly rate?: number;
  readonly burst?: number;
  readonly timing?: Pick<FleetOptions, "everyMs" | "restMs" | "silenceMs" | "most">;
  readonly connectMs?: number;
  readonly commandMs?: number;
}

/** A member of a fleet with tables of its own. */
export function openFleet(options: FleetStandOptions): FleetStand {
  const { port, id, prefix = "penstock:", limit = 10, rate = 50, burst = 50, timing, connectMs, commandMs } = options;
  const plan: RedisPlan = { host: "127.0.0.1", name: `127.0.0.1:${port}`, database: 0, ...options, prefix };
  const counts = new Counts(limit);
  const rates = new Buckets(rate, burst);
  const bytes = new Bytes();
  const changed = (urgent: boolean) => fleet.changed(urgent);
  const followed: string[] = [];
  const shared = {
    counts: new SharedCounts("connections", counts, changed),
    rates: new SharedRates("rate", rates, changed),
    use: new SharedUse({ table: bytes, machine: () => id, changed }),
    sessions: new SharedSessions({ follow: (pool, key, member) => followed.push(`${pool} ${key} ${member}`) }, changed),
  };
  counts.changed = (key) => shared.counts.changed(key);
  rates.changed = (key) => shared.rates.changed(key);
  bytes.changed = (user) => shared.use.changed(user);
  const reports: FleetChange[] = [];
  const link = new RedisLink({
    plan,
    findConnectFault,
    ...(connectMs !== undefined && { connectMs }),
    ...(commandMs !== undefined && { commandMs }),
  });
  const fleet = new Fleet({
    link,
    kinds: Object.values(shared),
    id,
    prefix,
    report: (change) => void reports.push(change),
    ...timing,
  });
  fleet.start();
  return {
    fleet,
    counts,
    rates,
    bytes,
    use: shared.use,
    sessions: shared.sessions,
    followed,
    reports,
    [Symbol.asyncDispose]: () => fleet.stop(),
  };
}
