import { describe, expect, test } from "bun:test";
import { type Holder, Lingering } from "../../../../src/proxy/read/lingering.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";
import { plentyOfDescriptors } from "../../../support/plenty-of-descriptors.ts";

/** Milliseconds. */
const LONG = 60_000;

function makeHolder(address: string, user?: string, connections = 10_000): Holder {
  return {
    client: makeIp(address),
    user,
    runtime: {
      limits: { inAll: { connections, rate: undefined, bandwidth: undefined }, clientPrefix: { v4: 32, v6: 64 } },
    },
  };
}

/** Has so many connections of a client linger, and counts those that are closed. */
function linger(lingering: Lingering, holder: Holder, count: number) {
  const conns = Array.from({ length: count }, () => new MemoryConn());
  const seen = { conns, closed: 0 };
  for (const conn of conns) lingering.close(conn, holder, LONG, () => (seen.closed += 1));
  return seen;
}

describe("lingering connections", () => {
  test("end once their peers do, and no sooner, whatever these say", () => {
    const lingering = new Lingering({ connections: 0 }, plentyOfDescriptors);
    const { conns, ...seen } = linger(lingering, makeHolder("192.0.2.1"), 1);
    const [conn] = conns;
    conn?.say("x".repeat(1_000_000));
    expect([conn?.state, lingering.size, seen.closed]).toEqual(["fin", 1, 0]);
    conn?.finish();
    expect([conn?.state, lingering.size]).toEqual(["closed", 0]);
  });

  test("are closed at once when nothing is to be read any more", () => {
    const lingering = new Lingering({ connections: 0 }, plentyOfDescriptors);
    const conn = new MemoryConn();
    let closed = 0;
    lingering.close(conn, makeHolder("192.0.2.1"), 0, () => (closed += 1));
    expect([conn.state, closed, lingering.size]).toEqual(["closed", 1, 0]);
    lingering.close(conn, makeHolder("192.0.2.1"), LONG, () => (closed += 1));
    expect([closed, lingering.size]).toEqual([2, 0]);
  });

  test("are a quarter of all for one address, and the oldest make room", () => {
    const lingering = new Lingering({ connections: 0 }, plentyOfDescriptors);
    const other = linger(lingering, makeHolder("192.0.2.9"), 1);
    const seen = linger(lingering, makeHolder("192.0.2.1"), 200);
    expect([seen.closed, lingering.size, other.closed]).toEqual([72, 129, 0]);
    expect(seen.conns.findIndex(({ state }) => state === "fin")).toBe(72);
    lingering.abort();
    expect([seen.closed, other.closed, lingering.size]).toEqual([200, 1, 0]);
  });

  test("are limited in all, and by the limit of connections", () => {
    for (const [limit, most] of [
      [10_000, 512],
      [100, 100],
      [1, 8],
    ] as const) {
      const lingering = new Lingering({ connections: 0 }, plentyOfDescriptors);
      for (let number = 0; number < 250; number += 1)
        linger(lingering, makeHolder(`192.0.2.${number}`, undefined, limit), 2 + (limit === 10_000 ? 1 : 0));
      expect(lingering.size).toBe(most);
      lingering.abort();
    }
  });

  test("give way for whom they hold what is needed, the oldest first", () => {
    const lingering = new Lingering({ connections: 0 }, plentyOfDescriptors);
    const ann = linger(lingering, makeHolder("192.0.2.1", "ann"), 2);
    const bob = linger(lingering, makeHolder("192.0.2.1", "bob"), 1);
    expect(lingering.giveUpOldest(({ user }) => user === "bob")).toBe(true);
    expect([ann.closed, bob.closed]).toEqual([0, 1]);
    expect(lingering.giveUpOldest(({ user }) => user === "bob")).toBe(false);
    expect(lingering.giveUpOldest(() => true)).toBe(true);
    expect(ann.conns.map(({ state }) => state)).toEqual(["closed", "fin"]);
    lingering.abort();
  });

  test("are closed at once after everything was ended", () => {
    const lingering = new Lingering({ connections: 0 }, plentyOfDescriptors);
    lingering.abort();
    expect(linger(lingering, makeHolder("192.0.2.1"), 1)).toMatchObject({ closed: 1 });
  });
});
