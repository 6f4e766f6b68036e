import { describe, expect, test } from "bun:test";
import { makePoolPlan, pass, PoolStand, take, wish } from "../../../support/make-pool.ts";

const eject = { failures: 3, forMs: 10_000, maxMs: 60_000, statuses: new Set([429]) };

describe("a use of a member", () => {
  test("that is suspected ends when it is known whose fault it was", () => {
    const pool = new PoolStand().open(makePoolPlan(["a", "b"], { eject: { ...eject, failures: 1 } }));
    const [one, other] = [take(pool), take(pool)];
    for (const use of [one, other]) {
      use.suspect();
      use.release();
    }
    expect(pool.members.map(({ active }) => active)).toEqual([1, 1]);
    one.acquit();
    other.convict("upstream_timeout");
    expect([one.isSuspected, other.isSuspected]).toEqual([false, true]);
    other.release();
    expect(pool.members.map(({ active, failed }) => [active, failed])).toEqual([
      [0, 0],
      [0, 1],
    ]);
    expect([pass(pool), pass(pool)]).toEqual(["a", "a"]);
  });

  test("that is a trial and suspected keeps others away until it is over", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a"], { eject: { ...eject, failures: 1, forMs: 1000 } }));
    take(pool).failed("upstream_timeout");
    stand.now += 1000;
    const trial = take(pool);
    trial.suspect();
    trial.release();
    expect(pool.take(wish())).toBe("full");
    trial.convict("upstream_timeout");
    expect(pool.nextChangeAt(stand.now)).toBe(stand.now + 2000);
  });
});
