import { describe, expect, test } from "bun:test";
import { MemberSearch, type Found } from "../../../../src/proxy/dial/member-search.ts";
import { Upstreams } from "../../../../src/proxy/upstream/upstreams.ts";
import { FakeConn } from "../../../support/fake-conn.ts";
import { createFakeResolver } from "../../../support/fake-resolver.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeMember, makePoolPlan, PoolStand } from "../../../support/make-pool.ts";
import { makeIp } from "../../../support/make-policy.ts";

/** Requests that may wait for a pool, in all and of one client. */
const MOST = 1000;
const MOST_OF_ONE = 100;

function openPool() {
  const stand = new PoolStand();
  const plan = makePoolPlan([makeMember("a", { maxConnections: 1 })], { waitMs: 1_000_000 });
  const pool = stand.open(plan);
  const services = {
    resolver: createFakeResolver({}),
    own: { has: () => false },
    upstreams: new Upstreams(),
    pools: stand.pools,
  };
  const find = (client: number, conn = new FakeConn()): Found | Promise<Found> =>
    new MemberSearch(
      {
        requester: {
          client: makeIp(`203.0.113.${client}`),
          clientPort: 50_123,
          runtime: { timeouts: { connectMs: 1000 } },
        },
        client: conn,
        target: makeEndpoint("target.example:443"),
        route: { name: "pool", steps: [plan] },
      },
      services,
    ).find();
  return { pool, find };
}

describe("requests that wait for a member", () => {
  test(`are ${MOST_OF_ONE} of one client and ${MOST} in all; the others are refused at once, and one goes when another comes`, async () => {
    const { pool, find } = openPool();
    const first = await find(0);
    const conns = Array.from({ length: MOST }, () => new FakeConn());
    const waiting: Promise<Found>[] = [];
    for (const [at, conn] of conns.entries()) {
      const client = Math.floor(at / MOST_OF_ONE);
      waiting.push(Promise.resolve(find(client, conn)));
      // The client has as many as it may have; there is room for others.
      if (at === MOST_OF_ONE - 1)
        expect(await find(client)).toMatchObject({ ok: false, failure: { detail: "upstreams_full" } });
    }
    expect(pool.waiting).toBe(MOST);
    expect(await find(200)).toMatchObject({ ok: false, failure: { detail: "upstreams_full" } });
    if (first.ok) first.value.release();
    expect(await waiting[0]).toMatchObject({ ok: true });
    expect(pool.waiting).toBe(MOST - 1);
    waiting.push(Promise.resolve(find(200)));
    expect(pool.waiting).toBe(MOST);
    for (const conn of conns) conn.break();
    const ends = await Promise.all(waiting.slice(1, MOST));
    expect(ends.every((end) => !end.ok && end.failure.detail === "client_gone")).toBe(true);
    expect(pool.waiting).toBe(1);
  });
});
