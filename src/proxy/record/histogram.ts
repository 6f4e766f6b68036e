/** What an exemplar points to: the access line with that id, and its trace where there is one. */
export interface ExemplarSource {
  readonly id: string;
  readonly trace?: { readonly traceId: string } | undefined;
}

/** One observation, as an example of all in its bucket. */
export interface Exemplar {
  /** The id in the access log. */
  readonly id: string;
  readonly traceId: string | undefined;
  readonly value: number;
  /** Monotonic milliseconds. */
  readonly at: number;
}

/** Milliseconds for which an exemplar stays, unless a traced request comes. */
const EXEMPLAR_MS = 1000;

/** Gives the exemplar that stays, and makes a new one only when the last one is old or the new one has a trace. */
export function chooseExemplar(
  before: Exemplar | undefined,
  value: number,
  from: ExemplarSource,
  now: number,
): Exemplar {
  if (before !== undefined && now - before.at < EXEMPLAR_MS && from.trace === undefined) return before;
  return { id: from.id, traceId: from.trace?.traceId, value, at: now };
}

/** Counts durations in fixed buckets. An observation costs a few comparisons; an exemplar is made at most once a second. */
export class Histogram {
  /** Upper bounds in milliseconds, ascending; a last bucket without bound follows. */
  readonly boundsMs: readonly number[];
  /** Observations per bucket, not cumulated. */
  readonly counts: number[];
  /** The last example of each bucket, in milliseconds. */
  readonly exemplars: (Exemplar | undefined)[];
  /** Until when they stay: most observations look at this alone. */
  readonly #freshUntil: Float64Array;
  count = 0;
  sumMs = 0;

  constructor(boundsMs: readonly number[]) {
    this.boundsMs = boundsMs;
    this.counts = Array.from({ length: boundsMs.length + 1 }, () => 0);
    this.exemplars = Array.from({ length: boundsMs.length + 1 }, () => undefined);
    this.#freshUntil = new Float64Array(boundsMs.length + 1).fill(-Infinity);
  }

  /** `now` is in monotonic milliseconds. */
  observe(ms: number, from?: ExemplarSource, now = 0): void {
    let bucket = 0;
    while (bucket < this.boundsMs.length && ms > (this.boundsMs[bucket] ?? 0)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.count += 1;
    this.sumMs += ms;
    if (from === undefined || (now < (this.#freshUntil[bucket] ?? 0) && from.trace === undefined)) return;
    this.exemplars[bucket] = chooseExemplar(undefined, ms, from, now);
    this.#freshUntil[bucket] = now + EXEMPLAR_MS;
  }
}
