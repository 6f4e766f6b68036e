import { describe, expect, test } from "bun:test";
import { TurnPlace, TurnQueue } from "../../../../src/net/conn/turn-queue.ts";
import { createRandom } from "../../../support/seeded-random.ts";

/** Takes all that are due. */
function takeAll(queue: TurnQueue<string>, now: number): string[] {
  const due: string[] = [];
  for (let thing = queue.takeDue(now); thing !== undefined; thing = queue.takeDue(now)) due.push(thing);
  return due;
}

describe("a queue of turns", () => {
  test("gives turns in their order, never early and at most 20 ms late", () => {
    const queue = new TurnQueue<string>();
    const [a, b, c] = ["a", "b", "c"].map((name) => new TurnPlace(name)) as [
      TurnPlace<string>,
      TurnPlace<string>,
      TurnPlace<string>,
    ];
    queue.add(b, 130);
    queue.add(c, 131);
    queue.add(a, 45);
    expect(queue.nextAt).toBe(60);
    expect(takeAll(queue, 59)).toEqual([]);
    expect(takeAll(queue, 60)).toEqual(["a"]);
    expect(takeAll(queue, 1000)).toEqual(["b", "c"]);
    expect(queue.nextAt).toBe(Infinity);
  });

  test("keeps one turn for each thing: the last that was asked for, or none", () => {
    const queue = new TurnQueue<string>();
    const [a, b] = [new TurnPlace("a"), new TurnPlace("b")];
    queue.add(a, 10);
    queue.add(b, 10);
    queue.add(a, 500);
    expect(takeAll(queue, 100)).toEqual(["b"]);
    queue.delete(a);
    queue.delete(a);
    expect([queue.nextAt, takeAll(queue, 10_000)]).toEqual([Infinity, []]);
  });

  test("comes to an end when whoever has a turn asks for another one at once", () => {
    const queue = new TurnQueue<string>();
    const place = new TurnPlace("a");
    queue.add(place, 0);
    let turns = 0;
    for (const now = queue.nextAt; queue.takeDue(now) !== undefined && turns < 10; turns += 1) queue.add(place, now);
    expect([turns, queue.nextAt]).toEqual([1, 40]);
  });

  test("does what a sorted list does, whatever is added and taken out", () => {
    const random = createRandom(11);
    const queue = new TurnQueue<string>();
    const places = Array.from({ length: 40 }, (_, index) => new TurnPlace(`${index}`));
    /** Where each has its turn, in the order in which they were added. */
    const model = new Map<string, number>();
    let now = 0;
    for (let step = 0; step < 5000; step += 1) {
      const place = places[random.below(places.length)] ?? new TurnPlace("none");
      const what = random.below(4);
      if (what < 2) {
        const tick = Math.floor((now + random.below(1100)) / 20) + 1;
        queue.add(place, tick * 20 - 1);
        if (model.get(place.thing) !== tick) {
          model.delete(place.thing);
          model.set(place.thing, tick);
        }
      } else if (what === 2) {
        queue.delete(place);
        model.delete(place.thing);
      } else {
        now += random.below(60);
        const due = [...model].filter(([, tick]) => tick * 20 <= now).sort(([, one], [, other]) => one - other);
        expect(takeAll(queue, now)).toEqual(due.map(([thing]) => thing));
        for (const [thing] of due) model.delete(thing);
      }
      expect(queue.nextAt).toBe(Math.min(...model.values()) * 20);
    }
  });
});
