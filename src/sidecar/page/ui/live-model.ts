import type { LivePoint, LiveState, LiveTick, SeriesAnswer, StatusReport, TunnelRow } from "./wire.ts";

/** A tunnel or request of the table, with what follows from what came before. */
export interface Row {
  readonly id: string;
  readonly facts: TunnelRow;
  /** Lower case, of everything that is shown: what a filter looks at. */
  readonly text: string;
  /** When it began, by the reader's monotonic clock. */
  readonly since: number;
  up: number;
  down: number;
  /** Bytes per second, smoothed. */
  rateUp: number;
  rateDown: number;
  /** The tick in which it moved last. */
  moved: number;
}

/** Points that are kept: those of the sidecar. */
const MAX_POINTS = 900;
/** Points that are kept until the series is there. */
const MAX_EARLY = 60;
/** Seconds that an answer of the series may be ahead of a stream. */
const AHEAD = 2;
/** How much of a rate is the newest second. */
const NEWEST = 0.5;
/** Bytes per second below which a rate that fades is none. */
const SILENT = 1;

const COLUMNS = ["up", "down", "connects", "requests", "refused", "connections", "tunnels"] as const;
const QUANTILES = ["dial_p50_ms", "dial_p99_ms"] as const;

/** Columns that grow. */
export type LiveSeries = Record<(typeof COLUMNS)[number], number[]> &
  Record<(typeof QUANTILES)[number], (number | null)[]> & {
    readonly step_ms: number;
    /** When the newest step ended, in milliseconds since the epoch. */
    until: number;
  };

/** What the page knows of the proxy: a state, and the ticks after it. No DOM, no clock: time is an argument. */
export class LiveModel {
  readonly rows = new Map<string, Row>();
  status: StatusReport | undefined;
  series: LiveSeries | undefined;
  /** Tunnels and requests in all; rows may be fewer. */
  total = 0;
  #ticks = 0;
  #at = 0;
  /** The newest second of the series. */
  #last = 0;
  /** Rows from before a gap, of which nothing was heard since. */
  #stale = new Set<string>();
  #early: { readonly step: number; readonly point: LivePoint }[] = [];

  /** Takes the first event of a stream. Rows that stay keep what is known of them. Gives whether seconds are missing: then the series has to be asked for. */
  begin({ step, point, total, rows }: LiveState, now: number): boolean {
    const seconds = (now - this.#at) / 1000;
    this.#at = now;
    this.total = total;
    this.#stale = new Set(this.rows.keys());
    for (const facts of rows) this.#put(facts, now, seconds);
    this.#dropStale(false);
    this.#early = [];
    // Numbers begin anew with the process of the proxy. An answer of the series may be a second ahead of the stream.
    if (step < this.#last - AHEAD) this.#last = -1;
    else if (this.series !== undefined && step <= this.#last) return false;
    if (point !== null) this.#note(step, [point]);
    return this.series === undefined || this.#last < step;
  }

  /** Takes the difference since the last event. True when seconds are missing. */
  advance({ step, points, total, add, move, gone }: LiveTick, now: number): boolean {
    this.#ticks += 1;
    const seconds = Math.max(0.2, (now - this.#at) / 1000);
    this.#at = now;
    this.total = total;
    for (const facts of add) this.#put(facts, now, seconds);
    for (const [id, up, down] of move) {
      const row = this.rows.get(id);
      if (row !== undefined) this.#move(row, up, down, seconds);
    }
    for (const id of gone) this.rows.delete(id);
    // Bytes come with a tick of each second; ticks between have only rows.
    if (points.length > 0) for (const row of this.rows.values()) if (row.moved !== this.#ticks) fade(row);
    this.#dropStale(points.length > 0);
    this.#note(step, points);
    return this.series === undefined || this.#last < step;
  }

  /** Takes the seconds before the stream. */
  takeSeries(answer: SeriesAnswer): void {
    const until = Date.parse(answer.from) + answer.up.length * answer.step_ms;
    const columns = Object.fromEntries([...COLUMNS, ...QUANTILES].map((name) => [name, [...answer[name]]]));
    this.series = { ...(columns as Omit<LiveSeries, "step_ms" | "until">), step_ms: answer.step_ms, until };
    this.#last = answer.last;
    for (const { step, point } of this.#early) this.#push(step, point);
  }

  #put(facts: TunnelRow, now: number, seconds: number): void {
    const known = this.rows.get(facts.id);
    const row = makeRow(facts, now);
    this.rows.set(facts.id, row);
    this.#stale.delete(facts.id);
    if (known === undefined) return;
    const { bytes_up: up, bytes_down: down } = facts;
    Object.assign(row, { since: known.since, up: known.up, down: known.down });
    Object.assign(row, { rateUp: known.rateUp, rateDown: known.rateDown });
    this.#move(row, up, down, Math.max(0.2, seconds));
  }

  #move(row: Row, up: number, down: number, seconds: number): void {
    row.rateUp += NEWEST * (Math.max(0, up - row.up) / seconds - row.rateUp);
    row.rateDown += NEWEST * (Math.max(0, down - row.down) / seconds - row.rateDown);
    row.up = up;
    row.down = down;
    row.moved = this.#ticks;
  }

  /** A long table comes in parts: what was known before a gap stays until all of them are there, so that the table does not jump. */
  #dropStale(isComplete: boolean): void {
    if (!isComplete && this.rows.size - this.#stale.size < this.total) return;
    for (const id of this.#stale) this.rows.delete(id);
    this.#stale.clear();
  }

  /** `points` are of the seconds up to `step`. */
  #note(step: number, points: readonly LivePoint[]): void {
    for (const [index, point] of points.entries()) {
      const of = step - points.length + 1 + index;
      this.#early.push({ step: of, point });
      if (this.series !== undefined) this.#push(of, point);
    }
    this.#early = this.#early.slice(-MAX_EARLY);
  }

  /** Adds the next second, and no other. */
  #push(step: number, point: LivePoint): void {
    const { series } = this;
    if (series === undefined || step !== this.#last + 1) return;
    this.#last = step;
    series.until += series.step_ms;
    for (const name of COLUMNS) series[name].push(point[name]);
    for (const name of QUANTILES) series[name].push(point[name]);
    for (const name of [...COLUMNS, ...QUANTILES]) if (series[name].length > MAX_POINTS) series[name].shift();
  }
}

function makeRow(facts: TunnelRow, now: number): Row {
  const { id, user, client, target, route, rule, tls } = facts;
  const text = [id, user, client, target, route, rule, tls?.sni, tls?.ja4].filter(Boolean).join("\n").toLowerCase();
  return {
    id,
    facts,
    text,
    since: now - facts.age_ms,
    up: facts.bytes_up,
    down: facts.bytes_down,
    rateUp: 0,
    rateDown: 0,
    moved: -1,
  };
}

function fade(row: Row): void {
  row.rateUp = row.rateUp < SILENT ? 0 : row.rateUp * (1 - NEWEST);
  row.rateDown = row.rateDown < SILENT ? 0 : row.rateDown * (1 - NEWEST);
}
