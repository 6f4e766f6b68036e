import { type Batch, type Entry, exchange, type ExchangeLink } from "./exchange.ts";
import type { RedisFault } from "./redis-fault.ts";

/** One kind of count that proxies share. */
export interface SharedKind {
  /** At most `most` entries for the next exchange, the most urgent first. */
  collect(most: number): Entry[];
  /** There was no room in the last exchange for everything that had changed. */
  readonly isBehind: boolean;
  /** Something is in use, so there is something to tell or to hear. */
  readonly isActive: boolean;
  /** Redis knows nothing of this proxy, or not any more: everything is to be told again. */
  retell(): void;
  /** This many proxies are alive. What is not known yet of a key is an even share. */
  use(proxies: number): void;
  /** The others count this proxy as gone: it has its even share of everything, and no more. */
  isolate(): void;
}

export interface FleetOptions {
  readonly link: ExchangeLink & { close(): void };
  readonly kinds: readonly SharedKind[];
  /** Different for each process. */
  readonly id: string;
  readonly prefix: string;
  /** Is told when Redis cannot be used, and when it can again. */
  readonly report: (change: FleetChange) => void;
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
  /** Milliseconds between exchanges while something is in use, and at rest. */
  readonly everyMs?: number;
  readonly restMs?: number;
  /** Milliseconds after which a silent proxy counts as gone. */
  readonly silenceMs?: number;
  /** Entries in one exchange. */
  readonly most?: number;
}

export type FleetChange =
  | { readonly kind: "lost"; readonly fault: RedisFault }
  | { readonly kind: "back"; readonly afterMs: number; readonly proxies: number }
  /** One key cannot be used; the others can. */
  | { readonly kind: "key"; readonly key: string; readonly fault: RedisFault };

const EVERY_MS = 100;
const REST_MS = 1000;
const SILENCE_MS = 10_000;
const MOST = 512;
/** Milliseconds between two exchanges that are urgent. */
const URGENT_MS = 2;
/** Milliseconds between two exchanges while there is more than one can hold. */
const BEHIND_MS = 20;
/** Milliseconds before Redis is tried again: at first, and at most. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 2000;
/** Milliseconds to say goodbye. */
const LEAVE_MS = 500;

/**
 * Shares counts with other proxies through Redis. Nothing here is waited for when a
 * request is decided: tables decide at once by what they have, and exchanges adjust
 * that from the side. At most one exchange is under way.
 */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #now: () => number;
  readonly failures = new Map<RedisFault["kind"], number>();
  exchanges = 0;
  /** Proxies that were alive in the last exchange. */
  proxies = 1;
  #number = 0;
  /** Sent, and not answered. It is sent again as it is. */
  #open: Batch | undefined;
  #fault: RedisFault | undefined;
  #lostAt = 0;
  #isIsolated = false;
  #retryMs = RETRY_MS;
  #exchangedAt: number;
  #timer: NodeJS.Timeout | undefined;
  #dueAt = Infinity;
  #busy = false;
  #isUrgent = false;
  #stopped = false;
  #wasHeard = false;
  #waiting: (() => void)[] = [];

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#exchangedAt = this.#now();
  }

  /** Why Redis cannot be used now; undefined while it can. */
  get fault(): RedisFault | undefined {
    return this.#fault;
  }

  /** Whether Redis has answered since the start. */
  get wasHeard(): boolean {
    return this.#wasHeard;
  }

  start(): void {
    this.#wake(0);
  }

  /** Something changed. It is exchanged soon, or at once when it is urgent. */
  changed(urgent: boolean): void {
    if (this.#fault !== undefined || this.#stopped) return;
    if (this.#busy) this.#isUrgent ||= urgent;
    else this.#wake(urgent ? URGENT_MS : (this.#options.everyMs ?? EVERY_MS));
  }

  /** Resolves when an exchange that began after this call has been answered, or has failed. */
  exchanged(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#wake(0);
    });
  }

  /** Tells the others a last time, and leaves. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    const { link, prefix, id } = this.#options;
    if (this.#fault === undefined && this.#wasHeard) {
      const leave = this.exchanged().then(() => {
        this.#stopped = true;
        return link.run(LEAVE_SCRIPT, [`${prefix}proxies`, `${prefix}number:${id}`], [id]);
      });
      await Promise.race([leave, Bun.sleep(LEAVE_MS)]);
    }
    this.#stopped = true;
    clearTimeout(this.#timer);
    link.close();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #wake(inMs: number): void {
    const at = Math.max(this.#now() + inMs, this.#exchangedAt + Math.min(inMs, URGENT_MS));
    if (this.#busy || this.#stopped || at >= this.#dueAt) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => void this.#exchange(), Math.max(0, at - this.#now()));
    this.#timer.unref();
  }

  async #exchange(): Promise<void> {
    const { kinds, silenceMs = SILENCE_MS, restMs = REST_MS, everyMs = EVERY_MS } = this.#options;
    this.#dueAt = Infinity;
    this.#busy = true;
    const waiting = this.#waiting.splice(0);
    this.#isUrgent = false;
    const failed = await this.#tryExchange(silenceMs);
    this.#busy = false;
    if (failed !== undefined) this.#failed(failed, silenceMs);
    for (const resolve of waiting) resolve();
    if (this.#stopped) return;
    if (this.#fault !== undefined) this.#wake(this.#delayRetry());
    else if (this.#waiting.length > 0) this.#wake(0);
    else if (this.#isUrgent) this.#wake(URGENT_MS);
    else if (kinds.some(({ isBehind }) => isBehind)) this.#wake(BEHIND_MS);
    else this.#wake(kinds.some(({ isActive }) => isActive) ? everyMs : restMs);
  }

  /** Gives why it failed; undefined when it did not. A bug is a failure, too: without another try nothing would be shared until a restart. */
  async #tryExchange(silenceMs: number): Promise<RedisFault | undefined> {
    const { link, report } = this.#options;
    try {
      this.#open ??= this.#collect();
      const outcome = await exchange(link, { ...this.#options, silenceMs }, this.#open);
      if (!outcome.ok) return outcome.fault;
      this.#open = undefined;
      this.#heard(outcome.proxies, outcome.known);
      for (const { key, fault } of outcome.faults) {
        this.#count(fault);
        report({ kind: "key", key, fault });
      }
      return undefined;
    } catch (error) {
      return { kind: "error", why: `cannot be used because of a bug in the proxy (${String(error)})` };
    }
  }

  #collect(): Batch {
    const { kinds, most = MOST } = this.#options;
    const entries: Entry[] = [];
    // Each kind gets its part, and what the ones before it leave.
    for (const [at, kind] of kinds.entries())
      entries.push(...kind.collect(Math.ceil((most - entries.length) / (kinds.length - at))));
    this.#number += 1;
    return { number: this.#number, entries };
  }

  #heard(proxies: number, known: boolean): void {
    const { kinds, report } = this.#options;
    const now = this.#now();
    this.exchanges += 1;
    this.#exchangedAt = now;
    this.#retryMs = RETRY_MS;
    if (this.#fault !== undefined) report({ kind: "back", afterMs: now - this.#lostAt, proxies });
    if (!known || this.#isIsolated) for (const kind of kinds) kind.retell();
    this.#fault = undefined;
    this.#isIsolated = false;
    this.#wasHeard = true;
    if (proxies === this.proxies) return;
    this.proxies = proxies;
    for (const kind of kinds) kind.use(proxies);
  }

  #failed(fault: RedisFault, silenceMs: number): void {
    const now = this.#now();
    this.#count(fault);
    if (this.#fault === undefined) this.#lostAt = now;
    if (this.#fault?.why !== fault.why && !this.#stopped) this.#options.report({ kind: "lost", fault });
    this.#fault = fault;
    if (this.#isIsolated || now - this.#exchangedAt < silenceMs) return;
    this.#isIsolated = true;
    for (const kind of this.#options.kinds) kind.isolate();
  }

  #count({ kind }: RedisFault): void {
    this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1);
  }

  #delayRetry(): number {
    const ms = this.#retryMs * (0.5 + Math.random());
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2);
    return ms;
  }
}

const LEAVE_SCRIPT = `
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('DEL', KEYS[2])
`;
