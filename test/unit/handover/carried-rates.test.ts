import { describe, expect, test } from "bun:test";
import { carryRates } from "../../../src/handover/carried-rates.ts";
import type { JsonValue } from "../../../src/protocol/handover/json-value.ts";
import { RequestLimits } from "../../../src/proxy/limit/request-limits.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { makeEndpoint } from "../../support/make-endpoint.ts";
import { makeIp } from "../../support/make-policy.ts";

/** What arrives of a value in another process. */
const send = (value: JsonValue): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue;

const { limits } = compileForTest({
  listen: ["127.0.0.1:0"],
  limits: { rate: "90/m", perClient: { rate: "6/m" }, perUser: { rate: "6/m" }, perTarget: { rate: "6/m" } },
}).runtime;
const client = makeIp("192.0.2.1");
const target = makeEndpoint("example.org:443");

/** Asks until something is refused, and gives how often nothing was. */
function useUp(requests: RequestLimits, now: number, most = 100): number {
  const serve = () =>
    requests.arrive(client, limits, now) === undefined &&
    requests.takeUser("ann", limits, now) === undefined &&
    "slot" in requests.takeTarget(target, limits, now);
  let served = 0;
  while (served < most && serve()) served += 1;
  return served;
}

describe("carried rates", () => {
  test("are used in the next process as far as they were, by its own clock", () => {
    const [old, next] = [new RequestLimits(), new RequestLimits()];
    expect(useUp(old, 50_000, 4)).toBe(4);
    // The clock of the next process is 40 s behind.
    expect(carryRates(next).restore(send(carryRates(old, () => 50_000).save()), -40_000)).toBe(true);
    expect(useUp(next, 10_000)).toBe(2);
    expect(useUp(next, 20_000)).toBe(1);
  });

  test("are added a second time only as far as they are new", () => {
    const [old, next] = [new RequestLimits(), new RequestLimits()];
    const [from, to] = [carryRates(old, () => 0), carryRates(next)];
    expect(useUp(old, 0, 2)).toBe(2);
    expect(to.restore(send(from.save()), 0)).toBe(true);
    // Both serve.
    expect([useUp(next, 0, 1), useUp(old, 0, 2)]).toEqual([1, 2]);
    expect(to.restore(send(from.save()), 0)).toBe(true);
    expect(useUp(next, 0)).toBe(1);
  });

  test("are left out when they are full again", () => {
    const old = new RequestLimits();
    expect(useUp(old, 0)).toBe(6);
    expect(carryRates(old, () => 60_000).save()).toEqual({ all: [], clients: [], users: [], targets: [] });
  });

  test("of a flood are so few that a message has room for them", () => {
    const old = new RequestLimits();
    const free = { ...limits, inAll: { ...limits.inAll, rate: undefined } };
    for (let at = 0; at < 20_000; at += 1) old.takeUser(`user ${at}`, free, 0);
    for (let again = 0; again < 3; again += 1) old.takeUser("user 7", free, 0);
    const { users } = carryRates(old, () => 0).save() as { users: unknown[][] };
    expect(users).toHaveLength(8192);
    expect(users[0]).toEqual(["user 7", 4, 0, 4]);
  });

  test("that are not understood change nothing", () => {
    for (const value of [null, 7, {}, { all: [], clients: [["a", -1, 0, 0]], users: [], targets: [] }, { all: [1] }]) {
      const next = new RequestLimits();
      expect(carryRates(next).restore(value, 0)).toBe(false);
      expect(next.clients.size).toBe(0);
    }
  });
});
