import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { readdirSync } from "node:fs";
import { startLaneWarmUp } from "../../src/gate/lane-warm-up.ts";
import { Lane } from "../../src/net/splice/lane.ts";
import { startLanes } from "../../src/net/splice/lane-pool.ts";
import { rehearse } from "../../src/net/splice/lane-rehearsal.ts";
import { TokenBuckets } from "../../src/net/conn/token-buckets.ts";
import { requireLibc } from "../support/lane-stand.ts";
import { waitFor } from "../support/wait-for.ts";

const libc = requireLibc();
const countDescriptors = (): number => readdirSync("/proc/self/fd").length;

describe("a rehearsal of a lane", () => {
  test("serves turns until it may go on no more, and leaves nothing open", () => {
    const before = countDescriptors();
    let splices = 0;
    const counting = {
      ...libc,
      splice: (from: number, to: number, bytes: number, flags: number) => {
        splices += 1;
        return libc.splice(from, to, bytes, flags);
      },
    };
    let left = 300;
    expect(rehearse(counting, () => (left -= 1) > 0)).toBe(300);
    // Each turn is two of them, and seldom is there a wait without a turn.
    expect(splices).toBeGreaterThan(300);
    expect(countDescriptors()).toBe(before);
  });

  test("does nothing where the kernel gives no descriptors, and closes those that it got", () => {
    const before = countDescriptors();
    expect(rehearse({ ...libc, eventFd: () => -24 }, () => true)).toBe(0);
    expect(countDescriptors()).toBe(before);
  });
});

describe("lanes that rehearse", () => {
  test("carry tunnels a moment after somebody asks for room", async () => {
    const result = startLanes({ lanes: 1, buckets: TokenBuckets.create(4) });
    if (!result.ok) throw new Error(result.reason);
    const { pool } = result;
    // Rehearsals also end by themselves after a second, so the end is looked at and not the time.
    using end = spyOn(Lane.prototype, "endRehearsal");
    pool.rehearse();
    expect(end).not.toHaveBeenCalled();
    expect([pool.hasRoom(), pool.status().lanes]).toEqual([false, 1]);
    expect(end).toHaveBeenCalledTimes(1);
    expect(await pool.warm()).toBe(true);
    expect(pool.hasRoom()).toBe(true);
    await pool.stop();
  });

  test("can be stopped while they do", async () => {
    const result = startLanes({ lanes: 1, buckets: TokenBuckets.create(4) });
    if (!result.ok) throw new Error(result.reason);
    const before = countDescriptors();
    using end = spyOn(Lane.prototype, "endRehearsal");
    result.pool.rehearse();
    await result.pool.stop();
    expect(end).toHaveBeenCalledTimes(1);
    expect(countDescriptors()).toBeLessThanOrEqual(before);
    expect(result.pool.status().lanes).toBe(0);
  });
});

describe("the warm-up of lanes", () => {
  const stops: (() => void)[] = [];
  afterEach(() => {
    for (const stop of stops.splice(0)) stop();
  });

  function warmUp(hasClients: () => boolean) {
    const calls: string[] = [];
    const lanes = {
      rehearse: () => {
        calls.push("begin");
        return () => void calls.push("end");
      },
    };
    const stop = startLaneWarmUp(lanes, hasClients);
    stops.push(stop);
    return { calls, stop };
  }

  test("ends when a client comes", async () => {
    let looks = 0;
    let came = false;
    const { calls } = warmUp(() => {
      looks += 1;
      return came;
    });
    await waitFor(() => calls.includes("begin"), "the rehearsal to begin");
    came = true;
    await waitFor(() => calls.length === 2, "the rehearsal to end");
    const then = looks;
    await Bun.sleep(30);
    expect([calls, looks]).toEqual([["begin", "end"], then]);
  });

  test("does not begin when a client was there before", async () => {
    let looks = 0;
    const { calls } = warmUp(() => (looks += 1) > 0);
    await waitFor(() => looks > 0, "a look at the clients");
    await Bun.sleep(70);
    expect([calls, looks]).toEqual([[], 1]);
  });
});
