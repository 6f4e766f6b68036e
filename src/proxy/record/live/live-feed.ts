import type { Flow, FlowFilter, LiveTable } from "../live-table.ts";
import type { Steps } from "../../../steps.ts";
import { type LiveRow, LiveRows } from "./live-rows.ts";
import type { Series } from "./series.ts";
import type { Step } from "./step-ring.ts";

/** How rows and steps are written, as JSON. */
export interface LiveForm {
  row(flow: Flow): string;
  /** `endedAt` is in milliseconds since the epoch. */
  point(step: Step, endedAt: number): string;
}

export interface LiveFeedOptions {
  readonly table: Pick<LiveTable, "sample" | "describe">;
  readonly series: () => Pick<Series, "seconds" | "sinceLastMs">;
  readonly form: LiveForm;
  /** Milliseconds since the epoch, and monotonic ones. */
  readonly now?: () => number;
  readonly clock?: () => number;
}

/** Reads as fast as it likes. */
export interface LiveWatcher {
  /** The next event; undefined once it is closed. At most one call at a time. */
  next(): Promise<Uint8Array | undefined>;
  close(): void;
}

/** Rows of one event: no event is longer than some 200 KB. */
const PIECE = 250;
/** Seconds of one event. */
const MOST_POINTS = 60;
/** Version of the form. */
const LIVE_VERSION = 1;

/**
 * Tells watchers, second by second, what has changed in the live table. Nothing
 * waits for one that does not read: what it has missed is found when it reads
 * again, as one difference, or as a fresh state. Those who read in time and watch
 * the same get the same bytes. Without a watcher nothing is done.
 */
export class LiveFeed {
  readonly #options: LiveFeedOptions;
  readonly #channels = new Map<string, Channel>();
  #watchers = 0;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
  }

  get watchers(): number {
    return this.#watchers;
  }

  /** Begins to watch at most `most` rows of those that match. */
  watch(filter: FlowFilter, most: number): LiveWatcher {
    const key = JSON.stringify([filter, most]);
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = new Channel(this.#options, filter, most);
      this.#channels.set(key, channel);
    }
    const { watchers } = channel;
    const watcher = new Watcher(channel, () => {
      if (!watchers.delete(watcher)) return;
      this.#watchers -= 1;
      if (watchers.size === 0) this.#channels.delete(key);
    });
    watchers.add(watcher);
    this.#watchers += 1;
    return watcher;
  }

  /** Another second is over. A look at a long table takes milliseconds: each has a step of its own. */
  *tick(): Steps<void> {
    // Those that come between two steps know the present.
    const channels = [...this.#channels.values()];
    for (const channel of channels) {
      channel.tick();
      yield;
    }
  }

  /** Ends every watcher. */
  close(): void {
    for (const { watchers } of this.#channels.values()) for (const watcher of watchers) watcher.close();
  }
}

/** How far somebody has read: the number of a look at the rows, and that of the newest second then. */
interface Place {
  readonly look: number;
  readonly step: number;
}

/** What those see who watch the same. */
class Channel {
  readonly watchers = new Set<Watcher>();
  readonly rows: LiveRows;
  readonly #options: LiveFeedOptions;
  /** The place now, and the one before: of those who read in time. */
  place: Place;
  #before: Place | undefined;
  /** The difference between the two. */
  #written: Difference | undefined;

  constructor(options: LiveFeedOptions, filter: FlowFilter, most: number) {
    this.#options = options;
    this.rows = new LiveRows(options.table, filter, most);
    this.place = this.#findPlace();
  }

  tick(): void {
    this.rows.look();
    this.#before = this.place;
    this.place = this.#findPlace();
    this.#written = undefined;
    for (const watcher of this.watchers) watcher.wake();
  }

  /** All that is known, of the rows the first ones; and the others. */
  writeState(): Difference {
    const rows = [...this.rows.rows.values()];
    const { seconds } = this.#options.series();
    const [point = "null"] = this.#writePoints(seconds.count - 1);
    const head = `"v":${LIVE_VERSION},"step":${this.place.step},"point":${point},"total":${this.rows.total}`;
    return { bytes: writeEvent("state", `{${head},"rows":${this.#writeRows(rows)}}`), rest: rows.slice(PIECE) };
  }

  /** What has changed since a place; undefined when that is not known any more. */
  writeDifference(since: Place): Difference | undefined {
    if (!this.rows.reachesBack(since.look)) return undefined;
    const isUsual = since.look === this.#before?.look && since.step === this.#before.step;
    if (isUsual && this.#written !== undefined) return this.#written;
    const added: LiveRow[] = [];
    const moved: string[] = [];
    for (const row of this.rows.rows.values()) {
      if (row.changedAt > since.look) added.push(row);
      else if (row.movedAt > since.look && row.look !== undefined)
        moved.push(`["${row.id}",${row.look.up},${row.look.down}]`);
    }
    const gone = this.rows.goneSince(since.look).map((id) => `"${id}"`);
    const difference = { bytes: this.#writeTick(since.step, added, moved, gone), rest: added.slice(PIECE) };
    if (isUsual) this.#written = difference;
    return difference;
  }

  /** Rows of which only a part was told. */
  writeMore(rows: readonly LiveRow[]): Uint8Array {
    return this.#writeTick(this.place.step, rows, [], []);
  }

  #writeTick(after: number, added: readonly LiveRow[], moved: readonly string[], gone: readonly string[]): Uint8Array {
    const { step } = this.place;
    const points = this.#writePoints(Math.max(after + 1, step - MOST_POINTS + 1)).join();
    const head = `"step":${step},"points":[${points}],"total":${this.rows.total}`;
    return writeEvent(
      "tick",
      `{${head},"add":${this.#writeRows(added)},"move":[${moved.join()}],"gone":[${gone.join()}]}`,
    );
  }

  #writeRows(rows: readonly LiveRow[]): string {
    const { table, form, clock = () => performance.now() } = this.#options;
    const now = clock();
    const written = rows
      .slice(0, PIECE)
      .flatMap(({ kind, look }) => (look === undefined ? [] : form.row(table.describe(kind, look, now))));
    return `[${written.join()}]`;
  }

  /** The seconds from one on, of those that are kept, up to the place. */
  #writePoints(from: number): string[] {
    const { form, now = Date.now } = this.#options;
    const series = this.#options.series();
    const endedAt = now() - series.sinceLastMs;
    const points: string[] = [];
    for (let at = Math.max(0, from); at <= this.place.step; at += 1) {
      const step = series.seconds.at(at);
      if (step !== undefined)
        points.push(form.point(step, Math.round(endedAt - (series.seconds.count - 1 - at) * 1000)));
    }
    return points;
  }

  #findPlace(): Place {
    return { look: this.rows.looks, step: this.#options.series().seconds.count - 1 };
  }
}

interface Difference {
  readonly bytes: Uint8Array;
  /** Rows that have to follow. */
  readonly rest: readonly LiveRow[];
}

class Watcher implements LiveWatcher {
  readonly #channel: Channel;
  readonly #leave: () => void;
  /** Undefined before the first event. */
  #place: Place | undefined;
  #rest: readonly LiveRow[] = [];
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(channel: Channel, leave: () => void) {
    this.#channel = channel;
    this.#leave = leave;
  }

  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#closed) return undefined;
      const event = this.#take();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#closed = true;
    this.#rest = [];
    this.#leave();
    this.wake();
  }

  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #take(): Uint8Array | undefined {
    if (this.#rest.length > 0) {
      const rows = this.#rest.slice(0, PIECE);
      this.#rest = this.#rest.slice(PIECE);
      return this.#channel.writeMore(rows);
    }
    const { place } = this.#channel;
    if (this.#place !== undefined && this.#place.look === place.look) return undefined;
    const since = this.#place;
    const difference = (since && this.#channel.writeDifference(since)) ?? this.#channel.writeState();
    this.#place = place;
    this.#rest = difference.rest;
    return difference.bytes;
  }
}

function writeEvent(name: string, data: string): Uint8Array {
  return Buffer.from(`event: ${name}\ndata: ${data}\n\n`);
}
