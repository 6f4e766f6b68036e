import { type EventFacts, type EventFilter, type EventType, matchesEvent } from "./event.ts";

/** Events are made for so long after the last watcher with the same filter left: it may come back, as each long-poll does. */
const LINGER_MS = 60_000;
/** Filters that are remembered at most, of watchers that have left. Beyond that all events are made for a while. */
const MAX_LINGERING = 32;

interface Interest {
  readonly filter: EventFilter;
  readonly looksAtFacts: boolean;
  watchers: number;
  /** Monotonic milliseconds until which it counts without watchers. */
  until: number;
}

/** Which events somebody wants: those that nobody does are not made. */
export class EventInterests {
  #interests: Interest[] = [];
  /** Monotonic milliseconds until which everything is wanted. */
  #everythingUntil = -Infinity;

  any(now: number): boolean {
    return now < this.#everythingUntil || this.#interests.some((interest) => isAlive(interest, now));
  }

  /** Whether a filter that counts looks at more than the type. */
  lookAtFacts(now: number): boolean {
    for (const interest of this.#interests) if (interest.looksAtFacts && isAlive(interest, now)) return true;
    return false;
  }

  want(type: EventType, facts: EventFacts, now: number): boolean {
    if (now < this.#everythingUntil) return true;
    for (const interest of this.#interests)
      if (isAlive(interest, now) && matchesEvent(interest.filter, type, facts)) return true;
    return false;
  }

  enter(filter: EventFilter): void {
    const known = this.#find(filter);
    const { user, target, word } = filter;
    const looksAtFacts = user !== undefined || target !== undefined || word !== undefined;
    if (known === undefined) this.#interests.push({ filter, looksAtFacts, watchers: 1, until: -Infinity });
    else known.watchers += 1;
  }

  leave(filter: EventFilter, now: number): void {
    const interest = this.#find(filter);
    if (interest === undefined) return;
    interest.watchers -= 1;
    interest.until = now + LINGER_MS;
    this.#interests = this.#interests.filter((each) => isAlive(each, now));
    const lingering = this.#interests.filter(({ watchers }) => watchers === 0);
    if (lingering.length <= MAX_LINGERING) return;
    this.#everythingUntil = now + LINGER_MS;
    this.#interests = this.#interests.filter(({ watchers }) => watchers > 0);
  }

  #find(filter: EventFilter): Interest | undefined {
    return this.#interests.find((each) => isSame(each.filter, filter));
  }
}

function isAlive({ watchers, until }: Interest, now: number): boolean {
  return watchers > 0 || now < until;
}

function isSame(a: EventFilter, b: EventFilter): boolean {
  return (
    a.user === b.user &&
    a.target === b.target &&
    a.word === b.word &&
    (a.types === b.types ||
      (a.types !== undefined && b.types !== undefined && a.types.symmetricDifference(b.types).size === 0))
  );
}
