/** Milliseconds between two looks: those whose turns are nearer together are served together. */
const TICK_MS = 20;

/** The place of a thing in its queue. It is made with the thing: to wait needs no further memory, which would have to be collected. */
export class TurnPlace<Thing> {
  readonly thing: Thing;
  tick: TurnTick<Thing> | undefined;
  before: TurnPlace<Thing> | undefined;
  after: TurnPlace<Thing> | undefined;

  constructor(thing: Thing) {
    this.thing = thing;
  }
}

/** The things that have their turn together, in the order in which they came. */
class TurnTick<Thing> {
  /** Its time, in ticks. */
  number = 0;
  first: TurnPlace<Thing> | undefined;
  last: TurnPlace<Thing> | undefined;
  next: TurnTick<Thing> | undefined;
}

/** Things in the order of the times at which they have their turn. A turn comes up to a tick late, never early. */
export class TurnQueue<Thing> {
  /** In the order of their numbers. Turns are at most a second ahead, so that there are few. */
  #first: TurnTick<Thing> | undefined;
  /** For reuse. */
  #spare: TurnTick<Thing> | undefined;

  /** When the next turn is; Infinity when nothing waits. */
  get nextAt(): number {
    return this.#first === undefined ? Infinity : this.#first.number * TICK_MS;
  }

  /** Gives a thing its turn after `at`, in milliseconds. Replaces an earlier one. */
  add(place: TurnPlace<Thing>, at: number): void {
    const number = Math.floor(at / TICK_MS) + 1;
    if (place.tick?.number === number) return;
    this.#remove(place);
    const tick = this.#findTick(number);
    place.tick = tick;
    place.before = tick.last;
    if (tick.last === undefined) tick.first = place;
    else tick.last.after = place;
    tick.last = place;
  }

  /** Takes a thing out. */
  delete(place: TurnPlace<Thing>): void {
    this.#remove(place);
  }

  /** Takes out the first of those whose turn has come; undefined when there is none. */
  takeDue(now: number): Thing | undefined {
    const tick = this.#first;
    if (tick?.first === undefined || tick.number * TICK_MS > now) return undefined;
    const place = tick.first;
    this.#remove(place);
    return place.thing;
  }

  #findTick(number: number): TurnTick<Thing> {
    let before: TurnTick<Thing> | undefined;
    let next = this.#first;
    while (next !== undefined && next.number < number) {
      before = next;
      next = next.next;
    }
    if (next?.number === number) return next;
    const tick = this.#spare ?? new TurnTick<Thing>();
    this.#spare = this.#spare?.next;
    tick.number = number;
    tick.next = next;
    if (before === undefined) this.#first = tick;
    else before.next = tick;
    return tick;
  }

  #remove(place: TurnPlace<Thing>): void {
    const { tick, before, after } = place;
    if (tick === undefined) return;
    place.tick = undefined;
    place.before = undefined;
    place.after = undefined;
    if (before === undefined) tick.first = after;
    else before.after = after;
    if (after === undefined) tick.last = before;
    else after.before = before;
    if (tick.first === undefined) this.#removeTick(tick);
  }

  #removeTick(tick: TurnTick<Thing>): void {
    if (this.#first === tick) {
      this.#first = tick.next;
    } else {
      let before = this.#first;
      while (before !== undefined && before.next !== tick) before = before.next;
      if (before !== undefined) before.next = tick.next;
    }
    tick.next = this.#spare;
    this.#spare = tick;
  }
}
