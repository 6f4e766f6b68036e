import { describeFailure, type Failure, type FailureDetail, type FailureWord } from "../failure.ts";
import { type Exemplar, type ExemplarSource, chooseExemplar, Histogram } from "./histogram.ts";

/** What all names without a count of their own are counted under. */
const OTHER = "other";

/** Names with counts of their own. Configurations have fewer of them, as a rule. */
const MAX_NAMES = 100;

/** What was counted for one rule, or for one upstream. */
export class NamedCount {
  readonly name: string;
  requests = 0;
  bytesUp = 0;
  bytesDown = 0;
  readonly failures = new Map<FailureWord, { count: number; exemplar: Exemplar | undefined }>();
  /** Requests that a rule would have refused, and only reported. */
  readonly reported = new Map<FailureDetail, number>();
  /** How long dialling took. */
  readonly dial: Histogram;

  constructor(name: string, boundsMs: readonly number[]) {
    this.name = name;
    this.dial = new Histogram(boundsMs);
  }

  report(detail: FailureDetail): void {
    this.reported.set(detail, (this.reported.get(detail) ?? 0) + 1);
  }

  fail({ detail }: Failure, from: ExemplarSource, now: number): void {
    const { word } = describeFailure(detail);
    const known = this.failures.get(word);
    const exemplar = chooseExemplar(known?.exemplar, 1, from, now);
    if (known === undefined) this.failures.set(word, { count: 1, exemplar });
    else {
      known.count += 1;
      known.exemplar = exemplar;
    }
  }
}

/**
 * Counts by names of the configuration. The number of names is bounded, whatever a
 * function of the configuration or many reloads come up with: the rest is `other`.
 */
export class NamedCounts implements Iterable<NamedCount> {
  readonly #counts = new Map<string, NamedCount>();
  readonly #boundsMs: readonly number[];
  /** The one that was asked for last: the next request is often under the same rule. */
  #last: NamedCount | undefined;

  constructor(boundsMs: readonly number[]) {
    this.#boundsMs = boundsMs;
  }

  get(name: string): NamedCount {
    const last = this.#last;
    if (last !== undefined && last.name === name) return last;
    const known = this.#counts.get(name) ?? this.#add(this.#counts.size < MAX_NAMES ? name : OTHER);
    this.#last = known;
    return known;
  }

  #add(name: string): NamedCount {
    const known = this.#counts.get(name);
    if (known !== undefined) return known;
    const count = new NamedCount(name, this.#boundsMs);
    this.#counts.set(name, count);
    return count;
  }

  [Symbol.iterator](): Iterator<NamedCount> {
    return this.#counts.values();
  }
}
