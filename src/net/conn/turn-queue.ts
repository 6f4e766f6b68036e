/** Milliseconds between two looks: those whose turns are nearer together are served together. */
const TICK_MS = 20;

/** Things in the order of the times at which they have their turn. A turn comes up to a tick late, never early. */
export class TurnQueue<Thing> {
  readonly #ticks = new Map<number, Set<Thing>>();
  readonly #tickOf = new Map<Thing, number>();
  #first = Infinity;

  /** When the next turn is; Infinity when nothing waits. */
  get nextAt(): number {
    return this.#first * TICK_MS;
  }

  /** Gives a thing its turn at `at`, in milliseconds. Replaces an earlier one. */
  add(thing: Thing, at: number): void {
    const tick = Math.ceil(at / TICK_MS);
    const before = this.#tickOf.get(thing);
    if (before === tick) return;
    if (before !== undefined) this.delete(thing);
    this.#tickOf.set(thing, tick);
    const things = this.#ticks.get(tick);
    if (things === undefined) this.#ticks.set(tick, new Set([thing]));
    else things.add(thing);
    if (tick < this.#first) this.#first = tick;
  }

  /** Takes a thing out. */
  delete(thing: Thing): void {
    const tick = this.#tickOf.get(thing);
    if (tick === undefined) return;
    this.#tickOf.delete(thing);
    const things = this.#ticks.get(tick);
    if (things?.delete(thing) !== true || things.size > 0) return;
    this.#ticks.delete(tick);
    if (tick === this.#first) this.#first = this.#findFirst();
  }

  /** Takes out those whose turn has come, the earliest first. */
  takeDue(now: number): readonly Thing[] {
    const due: Thing[] = [];
    while (this.#first * TICK_MS <= now) {
      for (const thing of this.#ticks.get(this.#first) ?? []) {
        this.#tickOf.delete(thing);
        due.push(thing);
      }
      this.#ticks.delete(this.#first);
      this.#first = this.#findFirst();
    }
    return due;
  }

  #findFirst(): number {
    let first = Infinity;
    for (const tick of this.#ticks.keys()) if (tick < first) first = tick;
    return first;
  }
}
