import { type EventFilter, matchesEvent, type PublishedEvent } from "./event.ts";

/** Why events are missing: the watcher was too slow, there were too many in a second, or they are not kept any more. */
export type LossReason = "slow" | "rate" | "gone";

/** How a watcher gets its events. */
export interface EventForm {
  /** Watchers with the same name and filter share their bytes. */
  readonly name: string;
  write(event: PublishedEvent, id: string): Uint8Array | string;
  /** Tells that so many events were lost, and why. */
  writeLost(count: number, why: LossReason): Uint8Array | string;
  /** Sent while nothing happens; nothing when it is empty. */
  readonly heartbeat: Uint8Array;
}

/** Reads its events as fast as it likes. What it does not take in time is lost, and it is told how many. */
export interface EventWatcher {
  /** The next bytes; undefined once it is closed. At most one call at a time. */
  next(): Promise<Uint8Array | undefined>;
  close(): void;
}

/** Bytes that wait for a watcher at most. What follows is lost. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Events that were left out are told as often at most. */
const LOST_PERIOD_MS = 1000;

/** The watchers that get the same bytes. */
export class EventChannel {
  readonly key: string;
  readonly filter: EventFilter;
  readonly form: EventForm;
  readonly watchers = new Set<Watcher>();
  #gathered: (Uint8Array | string)[] = [];
  /** Events that were left out, of those that it would have got. */
  #leftOut = 0;
  #lostToldAt = -Infinity;

  constructor(key: string, filter: EventFilter, form: EventForm) {
    this.key = key;
    this.filter = filter;
    this.form = form;
  }

  offer(event: PublishedEvent, id: string): void {
    if (matchesEvent(this.filter, event.type, event)) this.#gathered.push(this.form.write(event, id));
  }

  leaveOut(): void {
    this.#leftOut += 1;
  }

  /** Passes on what was gathered: one chunk for all. False when events that were left out are still to be told. */
  flush(now: number): boolean {
    let count = this.#gathered.length;
    const isDue = this.#leftOut > 0 && now - this.#lostToldAt >= LOST_PERIOD_MS;
    if (isDue) {
      this.#gathered.push(this.form.writeLost(this.#leftOut, "rate"));
      this.#lostToldAt = now;
      // Who is too slow for the chunk does not learn of these otherwise.
      count += this.#leftOut;
      this.#leftOut = 0;
    }
    if (this.#gathered.length > 0) {
      const chunk = join(this.#gathered);
      this.#gathered = [];
      for (const watcher of this.watchers) watcher.take(chunk, count);
    }
    return this.#leftOut === 0;
  }
}

export class Watcher implements EventWatcher {
  readonly #channel: EventChannel;
  readonly #leave: () => void;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #lost = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(channel: EventChannel, leave: () => void) {
    this.#channel = channel;
    this.#leave = leave;
  }

  async next(): Promise<Uint8Array | undefined> {
    while (this.#waiting.length === 0) {
      if (this.#closed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const [first, ...others] = this.#waiting;
    const chunk = others.length === 0 ? first : join(this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
    // Room again: from here on it gets what happens, and knows what it did not get.
    if (this.#lost > 0) {
      const count = this.#lost;
      this.#lost = 0;
      this.lost(count, "slow");
    }
    return chunk;
  }

  close(): void {
    this.#closed = true;
    this.#leave();
    this.#wakeUp();
  }

  take(chunk: Uint8Array, count: number): void {
    if (this.#bytes > 0 && this.#bytes + chunk.length > MAX_WAITING_BYTES) this.#lost += count;
    else this.#keep(chunk);
  }

  lost(count: number, why: LossReason): void {
    this.#keep(join([this.#channel.form.writeLost(count, why)]));
  }

  beat(heartbeat: Uint8Array): void {
    if (heartbeat.length > 0 && this.#waiting.length === 0) this.#keep(heartbeat);
  }

  #keep(chunk: Uint8Array): void {
    this.#waiting.push(chunk);
    this.#bytes += chunk.length;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

export function join(parts: readonly (Uint8Array | string)[]): Uint8Array {
  if (parts.every((part) => typeof part === "string")) return Buffer.from(parts.join(""));
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
}
