import type * as z from "zod";
import type { liveState, liveTick } from "../../sidecar/live.ts";
import type { SeriesAnswer } from "../../sidecar/series.ts";
import type { TunnelRow } from "../../sidecar/tunnel-row.ts";

/** A tunnel or forwarded request under way, and how fast it is. */
export interface LiveRow extends TunnelRow {
  /** Bytes per second in the newest second. */
  readonly up: number;
  readonly down: number;
  /** When it opened, on the clock of this process. */
  readonly since: number;
}

type State = z.infer<typeof liveState>;
type Tick = z.infer<typeof liveTick>;
/** One second. */
type LivePoint = Tick["points"][number];

/** Seconds that are kept for the curves. */
const MAX_SECONDS = 900;

/** What `/live` tells, put together. */
export class LiveModel {
  readonly #rows = new Map<string, LiveRow>();
  /** The bytes of both directions per second, the newest last. */
  readonly up: number[] = [];
  readonly down: number[] = [];
  #point: LivePoint | undefined;
  #total = 0;

  get rows(): Iterable<LiveRow> {
    return this.#rows.values();
  }

  /** Rows that are known. */
  get size(): number {
    return this.#rows.size;
  }

  /** Rows that there are, known or not. */
  get total(): number {
    return this.#total;
  }

  /** The newest second; undefined before the first. */
  get point(): LivePoint | undefined {
    return this.#point;
  }

  find(id: string): LiveRow | undefined {
    return this.#rows.get(id);
  }

  /** Takes what went through before anybody watched. */
  takeSeries({ up, down }: Pick<SeriesAnswer, "up" | "down">): void {
    this.up.splice(0, Infinity, ...up.slice(-MAX_SECONDS));
    this.down.splice(0, Infinity, ...down.slice(-MAX_SECONDS));
  }

  /** Replaces all rows. A row that was known keeps its speed until the next tick. */
  takeState({ point, total, rows }: State, now: number): void {
    const before = new Map(this.#rows);
    this.#rows.clear();
    for (const row of rows) {
      const { up = 0, down = 0 } = before.get(row.id) ?? {};
      this.#rows.set(row.id, { ...row, up, down, since: now - row.age_ms });
    }
    this.#point = point ?? this.#point;
    this.#total = total;
  }

  takeTick({ points, total, add, move, gone }: Tick, now: number): void {
    const seconds = points.length;
    for (const id of gone) this.#rows.delete(id);
    if (seconds > 0)
      for (const [id, row] of this.#rows)
        if (row.up > 0 || row.down > 0) this.#rows.set(id, { ...row, up: 0, down: 0 });
    for (const row of add) this.#put(row, this.#rows.get(row.id), seconds, now - row.age_ms);
    for (const [id, up, down] of move) {
      const row = this.#rows.get(id);
      if (row !== undefined) this.#put({ ...row, bytes_up: up, bytes_down: down }, row, seconds, row.since);
    }
    for (const point of points) {
      this.up.push(point.up);
      this.down.push(point.down);
    }
    for (const kept of [this.up, this.down]) kept.splice(0, Math.max(0, kept.length - MAX_SECONDS));
    this.#point = points.at(-1) ?? this.#point;
    this.#total = total;
  }

  /** Without a second that passed, its speed stays. What a new row has moved, it moved in these seconds. */
  #put(row: TunnelRow, known: LiveRow | undefined, seconds: number, since: number): void {
    const isMeasured = seconds > 0 && (known !== undefined || row.age_ms <= seconds * 1000);
    const from = known ?? { bytes_up: 0, bytes_down: 0, up: 0, down: 0 };
    const speed = (bytes: number, was: number, kept: number): number =>
      isMeasured ? Math.max(0, bytes - was) / seconds : kept;
    this.#rows.set(row.id, {
      ...row,
      up: speed(row.bytes_up, from.bytes_up, from.up),
      down: speed(row.bytes_down, from.bytes_down, from.down),
      since,
    });
  }
}
