import type { Entry } from "./exchange.ts";
import type { SharedKind } from "./fleet.ts";
import { KeyTurns } from "./key-turns.ts";

/** A table of connections that are open, by key. */
export interface CountTable {
  /** The connections of a key that are open here, and its limit in the whole fleet. */
  read(key: string): { readonly held: number; readonly limit: number } | undefined;
  /** As many as `lease` connections of a key may be open here, whatever its limit is. */
  lease(key: string, lease: number): void;
  /** A key without a lease may have an even share of its limit: 1 / `proxies`. */
  share(proxies: number): void;
  /** Nothing is shared any more. */
  stop(): void;
}

/**
 * Connection counts. A proxy has a lease for each key: as many connections as may
 * be open there. Redis grants it out of what the others have not leased, so that
 * all leases together keep the limit.
 */
export class SharedCounts implements SharedKind {
  readonly #table: CountTable;
  readonly #name: string;
  readonly #changed: (urgent: boolean) => void;
  readonly #turns = new KeyTurns();
  readonly #leases = new Map<string, number>();
  /** Connections at which the next exchange is urgent, by key: half of what was left is used. */
  readonly #urgentAt = new Map<string, number>();
  #isBehind = false;
  #proxies = 1;

  constructor(name: string, table: CountTable, changed: (urgent: boolean) => void) {
    this.#name = name;
    this.#table = table;
    this.#changed = changed;
  }

  /** The table has counted one more or one less, or has refused one. */
  changed(key: string): void {
    if (!this.#turns.change(key)) return;
    const urgentAt = this.#urgentAt.get(key) ?? 0;
    const isUrgent = (this.#table.read(key)?.held ?? 0) >= urgentAt;
    if (isUrgent) this.#urgentAt.set(key, Infinity);
    this.#changed(isUrgent);
  }

  get isBehind(): boolean {
    return this.#isBehind;
  }

  get isActive(): boolean {
    return this.#turns.size > 0;
  }

  collect(most: number): Entry[] {
    const keys = this.#turns.take(most);
    this.#isBehind = this.#turns.changed > 0;
    return keys.map((key): Entry => {
      const { held, limit } = this.#table.read(key) ?? { held: 0, limit: 0 };
      const cap = this.#leases.get(key) ?? Math.ceil(limit / this.#proxies);
      return {
        kind: "share",
        key: `${this.#name}:${key}`,
        values: [String(held), String(cap), String(limit)],
        settle: (lease) => this.#settle(key, held, cap, Number(lease)),
      };
    });
  }

  #settle(key: string, told: number, cap: number, lease: number): void {
    const held = this.#table.read(key)?.held ?? 0;
    if (held === 0 && told === 0) {
      this.#turns.forget(key);
      this.#leases.delete(key);
      this.#urgentAt.delete(key);
      return;
    }
    this.#urgentAt.set(key, lease > held ? lease - Math.floor((lease - held) / 2) : Infinity);
    this.#leases.set(key, lease);
    this.#table.lease(key, lease);
    // The others can have the rest once they know that it is not used.
    if (lease < cap) this.#changed(true);
  }

  retell(): void {
    this.#turns.changeAll();
  }

  use(proxies: number): void {
    this.#proxies = proxies;
    this.#table.share(proxies);
  }

  isolate(): void {
    for (const key of this.#turns) {
      const { limit } = this.#table.read(key) ?? { limit: 0 };
      const lease = Math.ceil(limit / this.#proxies);
      this.#leases.set(key, lease);
      this.#table.lease(key, lease);
    }
  }
}
