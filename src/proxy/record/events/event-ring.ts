import type { PublishedEvent } from "./event.ts";

/** Events that are kept at most, and UTF-16 code units of their texts. */
const MAX_EVENTS = 4096;
const MAX_LENGTH = 2 * 1024 * 1024;

/** The newest events, in order. Their number and their length are bounded. */
export class EventRing {
  readonly #maxEvents: number;
  readonly #maxLength: number;
  /** The oldest is at `#start`. */
  #events: PublishedEvent[] = [];
  #start = 0;
  #length = 0;

  constructor(maxEvents = MAX_EVENTS, maxLength = MAX_LENGTH) {
    this.#maxEvents = maxEvents;
    this.#maxLength = maxLength;
  }

  get size(): number {
    return this.#events.length - this.#start;
  }

  /** The number of the oldest event that is kept; 1 before the first. */
  get oldest(): number {
    return this.#events[this.#start]?.number ?? 1;
  }

  add(event: PublishedEvent): void {
    this.#events.push(event);
    this.#length += event.json.length;
    while (this.size > this.#maxEvents || (this.#length > this.#maxLength && this.size > 1)) {
      this.#length -= this.#events[this.#start]?.json.length ?? 0;
      this.#start += 1;
    }
    // Half of the array is given up at a time, so that each event is moved once.
    if (this.#start > this.size) {
      this.#events = this.#events.slice(this.#start);
      this.#start = 0;
    }
  }

  /** The event of that number, if it is kept. */
  find(number: number): PublishedEvent | undefined {
    return number < this.oldest ? undefined : this.#events[this.#start + number - this.oldest];
  }

  /** The events after the one of that number. */
  after(number: number): PublishedEvent[] {
    // Numbers have no gaps.
    return this.#events.slice(this.#start + Math.max(0, number + 1 - this.oldest));
  }
}
