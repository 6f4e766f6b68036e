import {
  EVENT_VERSION,
  type EventFacts,
  type EventFilter,
  type EventType,
  matchesEvent,
  type PublishedEvent,
} from "./event.ts";
import { escapeText } from "../../../escape-text.ts";
import { EventRing } from "./event-ring.ts";

/** How a watcher gets its events. */
export interface EventForm {
  /** Watchers with the same name and filter share their bytes. */
  readonly name: string;
  write(event: PublishedEvent, id: string): Uint8Array | string;
  /** Tells that so many events were lost, because the watcher was too slow. */
  writeLost(count: number): Uint8Array | string;
  /** Sent while nothing happens. */
  readonly heartbeat: Uint8Array;
}

export interface EventStreamOptions {
  /** What the ids of this process begin with. */
  readonly origin: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Monotonic milliseconds. */
  readonly clock?: () => number;
}

/** Reads its events as fast as it likes. What it does not take in time is lost, and it is told how many. */
export interface EventWatcher {
  /** The next bytes; undefined once it is closed. At most one call at a time. */
  next(): Promise<Uint8Array | undefined>;
  close(): void;
}

export interface CollectedEvents {
  readonly events: readonly PublishedEvent[];
  readonly last: string;
  /** As far as is known: events of every kind. */
  readonly missed: number;
}

/** Events of this time share a chunk: one system call for each watcher. */
const GATHER_MS = 50;
/** Bytes that wait for a watcher at most. What follows is lost. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Proxies and load balancers between close what is silent for 30 or 60 seconds. */
const HEARTBEAT_MS = 15_000;
/** Frequent events are kept for so long after the last watcher left: for one that comes back. */
const LINGER_MS = 60_000;

/**
 * What happens, told to whoever watches. Frequent events (tunnels and requests) are
 * made only while somebody watches, and a minute after; rare ones always. All are
 * kept in a bounded ring, from which a watcher that comes back gets what it missed.
 */
export class EventStream {
  readonly #ring = new EventRing();
  readonly #channels = new Map<string, Channel>();
  readonly #origin: string;
  readonly #now: () => number;
  readonly #clock: () => number;
  #last = 0;
  #watchers = 0;
  #wantedUntil = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor({ origin, now = Date.now, clock = () => performance.now() }: EventStreamOptions) {
    this.#origin = origin;
    this.#now = now;
    this.#clock = clock;
  }

  /** Whether events about single tunnels and requests are worth making. */
  get wanted(): boolean {
    return this.#watchers > 0 || this.#clock() < this.#wantedUntil;
  }

  get watchers(): number {
    return this.#watchers;
  }

  /** The id of the newest event. */
  get lastId(): string {
    return this.#format(this.#last);
  }

  /** Tells everybody. `fields` is plain data: what is undefined is left out. */
  publish(type: EventType, fields: Readonly<Record<string, unknown>>, facts: EventFacts = {}): void {
    const time = new Date(this.#now()).toISOString();
    this.publishText(type, JSON.stringify({ time, ...fields }), facts);
  }

  /** As `publish`, with the fields as a JSON object that is not empty and has the time. */
  publishText(type: EventType, object: string, { user, target, words }: EventFacts): void {
    this.#last += 1;
    const id = this.#format(this.#last);
    const json = `{"v":${EVENT_VERSION},"event":"${type}","event_id":"${id}",${escapeText(object.slice(1))}`;
    const event = { number: this.#last, type, json, user, target, words };
    this.#ring.add(event);
    if (this.#watchers === 0) return;
    for (const channel of this.#channels.values()) channel.offer(event, id);
    this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
  }

  /**
   * Begins to watch. With `after`, the id of the last event that was seen, what
   * came after it is sent first, as far as it is kept.
   */
  watch(filter: EventFilter, form: EventForm, after?: string): EventWatcher {
    const channel = this.#open(filter, form);
    // What is gathered is for those who watch already.
    channel.flush();
    const watcher = new Watcher(channel, () => this.#leave(channel, watcher));
    if (after !== undefined) this.#replay(channel, watcher, after);
    channel.watchers.add(watcher);
    this.#watchers += 1;
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
    return watcher;
  }

  /** The events after an id that are kept, the id of the newest event of all, and how many came between and are not kept. */
  collect(filter: EventFilter, after: string): CollectedEvents {
    const seen = this.#parse(after);
    const events = this.#ring.after(seen ?? 0).filter((event) => matchesEvent(filter, event));
    const missed = seen === undefined ? 0 : Math.max(0, this.#ring.oldest - 1 - seen);
    return { events, last: this.lastId, missed };
  }

  /** Ends every watcher, after what it has not read yet. */
  close(): void {
    this.#flush();
    // A map and a set go on when what they are at is deleted.
    for (const channel of this.#channels.values()) for (const watcher of channel.watchers) watcher.close();
  }

  #open(filter: EventFilter, form: EventForm): Channel {
    const { types, user, target, word } = filter;
    const key = JSON.stringify([form.name, types && [...types].sort(), user, target, word]);
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = new Channel(key, filter, form);
      this.#channels.set(key, channel);
    }
    return channel;
  }

  /** Sends what is kept after an id; of another process, or one that is no id: all that is kept, and how many may be missing is not known. */
  #replay(channel: Channel, watcher: Watcher, after: string): void {
    const { events, missed } = this.collect(channel.filter, after);
    if (missed > 0) watcher.lost(missed);
    if (events.length > 0)
      watcher.take(join(events.map((event) => channel.form.write(event, this.#format(event.number)))), events.length);
  }

  #leave(channel: Channel, watcher: Watcher): void {
    if (!channel.watchers.delete(watcher)) return;
    this.#watchers -= 1;
    if (channel.watchers.size === 0) this.#channels.delete(channel.key);
    if (this.#watchers > 0) return;
    this.#wantedUntil = this.#clock() + LINGER_MS;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const channel of this.#channels.values()) channel.flush();
  }

  #beat(): void {
    for (const { watchers, form } of this.#channels.values()) for (const each of watchers) each.beat(form.heartbeat);
  }

  #format(number: number): string {
    return `${this.#origin}-${number.toString(36)}`;
  }

  /** The number in an id of this process. */
  #parse(id: string): number | undefined {
    const [origin, digits = ""] = id.split("-");
    const number = /^[0-9a-z]{1,10}$/.test(digits) ? Number.parseInt(digits, 36) : Number.NaN;
    return origin === this.#origin && number <= this.#last ? number : undefined;
  }
}

/** The watchers that get the same bytes. */
class Channel {
  readonly key: string;
  readonly filter: EventFilter;
  readonly form: EventForm;
  readonly watchers = new Set<Watcher>();
  #gathered: (Uint8Array | string)[] = [];

  constructor(key: string, filter: EventFilter, form: EventForm) {
    this.key = key;
    this.filter = filter;
    this.form = form;
  }

  offer(event: PublishedEvent, id: string): void {
    if (matchesEvent(this.filter, event)) this.#gathered.push(this.form.write(event, id));
  }

  /** Passes on what was gathered: one chunk for all. */
  flush(): void {
    if (this.#gathered.length === 0) return;
    const count = this.#gathered.length;
    const chunk = join(this.#gathered);
    this.#gathered = [];
    for (const watcher of this.watchers) watcher.take(chunk, count);
  }
}

class Watcher implements EventWatcher {
  readonly #channel: Channel;
  readonly #leave: () => void;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #lost = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(channel: Channel, leave: () => void) {
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
      this.#keep(join([this.#channel.form.writeLost(count)]));
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

  lost(count: number): void {
    this.#keep(join([this.#channel.form.writeLost(count)]));
  }

  beat(heartbeat: Uint8Array): void {
    if (this.#waiting.length === 0) this.#keep(heartbeat);
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

function join(parts: readonly (Uint8Array | string)[]): Uint8Array {
  if (parts.every((part) => typeof part === "string")) return Buffer.from(parts.join(""));
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
}
