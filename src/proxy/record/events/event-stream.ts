import {
  EVENT_VERSION,
  type EventFacts,
  type EventFilter,
  type EventType,
  matchesEvent,
  type PublishedEvent,
} from "./event.ts";
import { escapeText } from "../../../escape-text.ts";
import { EventBudget, type EventRate } from "./event-budget.ts";
import { EventChannel, type EventForm, type EventWatcher, join, Watcher } from "./event-channel.ts";
import { EventInterests } from "./event-interests.ts";
import { EventRing } from "./event-ring.ts";

export interface EventStreamOptions {
  /** What the ids of this process begin with. */
  readonly origin: string;
  /** Events about single tunnels and requests that are made; the same again for refusals. */
  readonly rate?: EventRate;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Monotonic milliseconds. */
  readonly clock?: () => number;
}

export interface CollectedEvents {
  readonly events: readonly PublishedEvent[];
  readonly last: string;
  /** As far as is known: events of every kind. */
  readonly missed: number;
}

/** Events of this time share a chunk: one system call for each watcher. */
const GATHER_MS = 100;
/** Proxies and load balancers between close what is silent for 30 or 60 seconds. */
const HEARTBEAT_MS = 15_000;
/** What single tunnels and requests may cost: an event is about as much work as half a tunnel. */
const RATE: EventRate = { perSecond: 250, burst: 2000 };

const NO_FACTS: EventFacts = {};

/**
 * What happens, told to whoever watches. Frequent events (tunnels and requests) are
 * made only for somebody who watches them, and a minute after; rare ones always. All
 * are kept in a bounded ring, from which a watcher that comes back gets what it missed.
 */
export class EventStream {
  readonly #ring = new EventRing();
  readonly #channels = new Map<string, EventChannel>();
  readonly #interests = new EventInterests();
  readonly #origin: string;
  readonly #now: () => number;
  readonly #clock: () => number;
  readonly #refusals: EventBudget;
  readonly #others: EventBudget;
  #last = 0;
  /** Events that were wanted and not made. */
  #leftOut = 0;
  #watchers = 0;
  #timer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor({ origin, rate = RATE, now = Date.now, clock = () => performance.now() }: EventStreamOptions) {
    this.#origin = origin;
    this.#now = now;
    this.#clock = clock;
    this.#refusals = new EventBudget(rate);
    this.#others = new EventBudget(rate);
  }

  /** Whether somebody watches, or has done so a short time ago. */
  get wanted(): boolean {
    return this.#interests.any(this.#clock());
  }

  get watchers(): number {
    return this.#watchers;
  }

  /** The id of the newest event. */
  get lastId(): string {
    return this.#format(this.#last);
  }

  /**
   * What is to become of an event about a single tunnel or request. `made`: somebody
   * wants it, and there are not too many. `left_out`: there are, and its watchers are
   * told how many. `subject` is read only when a filter looks at more than the type;
   * `now` is that of the monotonic clock.
   */
  choose<Subject>(
    type: EventType,
    subject: Subject,
    read: (subject: Subject) => EventFacts,
    now: number,
  ): "made" | "left_out" | "unwanted" {
    const facts = this.#interests.lookAtFacts(now) ? read(subject) : NO_FACTS;
    if (!this.#interests.want(type, facts, now)) return "unwanted";
    if ((type === "refused" ? this.#refusals : this.#others).take(now)) return "made";
    this.#leftOut += 1;
    for (const channel of this.#channels.values()) if (matchesEvent(channel.filter, type, facts)) channel.leaveOut();
    this.#gather();
    return "left_out";
  }

  /** Tells everybody. `fields` is plain data: what is undefined is left out. */
  publish(type: EventType, fields: Readonly<Record<string, unknown>>, facts: EventFacts = {}): void {
    const time = new Date(this.#now()).toISOString();
    this.publishText(type, escapeText(JSON.stringify({ time, ...fields })), facts);
  }

  /** As `publish`, with the fields as a JSON object that is not empty, has the time, and is escaped as text. */
  publishText(type: EventType, object: string, { user, target, words }: EventFacts): void {
    this.#last += 1;
    const id = this.#format(this.#last);
    const json = `{"v":${EVENT_VERSION},"event":"${type}","event_id":"${id}",${object.slice(1)}`;
    const event = { number: this.#last, leftOutBefore: this.#leftOut, type, json, user, target, words };
    this.#ring.add(event);
    if (this.#watchers === 0) return;
    for (const channel of this.#channels.values()) channel.offer(event, id);
    this.#gather();
  }

  /**
   * Begins to watch. With `after`, the id of the last event that was seen, what
   * came after it is sent first, as far as it is kept.
   */
  watch(filter: EventFilter, form: EventForm, after?: string): EventWatcher {
    const channel = this.#open(filter, form);
    // What is gathered is for those who watch already.
    channel.flush(this.#clock());
    const watcher = new Watcher(channel, () => this.#leave(channel, watcher));
    if (after !== undefined) this.#replay(channel, watcher, after);
    channel.watchers.add(watcher);
    this.#watchers += 1;
    this.#interests.enter(filter);
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT_MS).unref();
    return watcher;
  }

  /** The events after an id that are kept, the id of the newest event of all, and how many came between and are missing. */
  collect(filter: EventFilter, after: string): CollectedEvents {
    const seen = this.#parse(after);
    const kept = this.#ring.after(seen ?? 0);
    const events = kept.filter((event) => matchesEvent(filter, event.type, event));
    const gone = seen === undefined ? 0 : Math.max(0, this.#ring.oldest - 1 - seen);
    const leftOutBefore = seen === undefined ? undefined : (this.#ring.find(seen) ?? kept[0])?.leftOutBefore;
    return { events, last: this.lastId, missed: gone + this.#leftOut - (leftOutBefore ?? this.#leftOut) };
  }

  /** Ends every watcher, after what it has not read yet. */
  close(): void {
    this.#flush();
    // A map and a set go on when what they are at is deleted.
    for (const channel of this.#channels.values()) for (const watcher of channel.watchers) watcher.close();
  }

  #open(filter: EventFilter, form: EventForm): EventChannel {
    const { types, user, target, word } = filter;
    const key = JSON.stringify([form.name, types && [...types].sort(), user, target, word]);
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = new EventChannel(key, filter, form);
      this.#channels.set(key, channel);
    }
    return channel;
  }

  /** Sends what is kept after an id; of another process, or one that is no id: all that is kept, and how many may be missing is not known. */
  #replay(channel: EventChannel, watcher: Watcher, after: string): void {
    const { events, missed } = this.collect(channel.filter, after);
    if (missed > 0) watcher.lost(missed, "gone");
    if (events.length > 0)
      watcher.take(join(events.map((event) => channel.form.write(event, this.#format(event.number)))), events.length);
  }

  #leave(channel: EventChannel, watcher: Watcher): void {
    if (!channel.watchers.delete(watcher)) return;
    this.#watchers -= 1;
    this.#interests.leave(channel.filter, this.#clock());
    if (channel.watchers.size === 0) this.#channels.delete(channel.key);
    if (this.#watchers > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  #gather(): void {
    if (this.#watchers > 0) this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = this.#clock();
    let isDone = true;
    for (const channel of this.#channels.values()) isDone = channel.flush(now) && isDone;
    if (!isDone) this.#gather();
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
