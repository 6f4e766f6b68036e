import { describe, expect, test } from "bun:test";
import type { Connect, ConnectResult } from "../../../../src/net/runtime/connect.ts";
import { dialAlong } from "../../../../src/proxy/dial/dial-along.ts";
import { Upstreams } from "../../../../src/proxy/upstream/upstreams.ts";
import { FakeConn } from "../../../support/fake-conn.ts";
import { allowOutside } from "../../../support/dial-stand.ts";
import { createFakeResolver } from "../../../support/fake-resolver.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeMember, makePoolPlan, PoolStand } from "../../../support/make-pool.ts";
import { makeIp } from "../../../support/make-policy.ts";

const names = { a: "10.0.0.1", b: "10.0.0.2" } as const;

/** A pool whose second member is disabled, and a dial that has begun through the first one. */
function dialAlone() {
  const stand = new PoolStand();
  const members = Object.entries(names).map(([name, ip]) =>
    makeMember(name, { way: { name: `pool/${name}`, kind: "http", endpoint: makeEndpoint(`${ip}:3128`) } }),
  );
  const plan = makePoolPlan(members, { balance: "first" });
  const pool = stand.open(plan);
  pool.disable("b", true);
  const dials: { readonly ip: string; readonly done: (result: ConnectResult) => void }[] = [];
  const connect: Connect = ({ ip }, done) => {
    dials.push({ ip: ip.text, done });
    return { cancel: () => undefined };
  };
  const client = new FakeConn();
  const outcome = dialAlong(
    {
      requester: { client: makeIp("203.0.113.7"), clientPort: 50_123, runtime: { timeouts: { connectMs: 1_000_000 } } },
      client,
      target: makeEndpoint("93.184.215.14:443"),
      route: { name: "pool", steps: [plan] },
      grant: { decision: allowOutside },
    },
    {
      resolver: createFakeResolver({}),
      own: { has: () => false },
      upstreams: new Upstreams(),
      pools: stand.pools,
      connect,
    },
  );
  return { pool, client, dials, outcome };
}

const refused: ConnectResult = { ok: false, code: "ECONNREFUSED" };

describe("a dial through the only member that is left", () => {
  test("goes on to one that has come back in the meantime", async () => {
    const { pool, client, dials, outcome } = dialAlone();
    expect(dials.map(({ ip }) => ip)).toEqual([names.a]);
    pool.disable("b", false);
    dials[0]?.done(refused);
    while (dials.length < 2) await Promise.resolve();
    const conn = new FakeConn();
    dials[1]?.done({ ok: true, conn });
    while (conn.written.length === 0) await Promise.resolve();
    conn.receive("HTTP/1.1 200 OK\r\n\r\n");
    const { ok, carriage } = await outcome;
    expect({ ok, name: carriage?.name, attempt: carriage?.attempt }).toEqual({ ok: true, name: "pool/b", attempt: 2 });
    expect(pool.members.map(({ active, failed }) => [active, failed])).toEqual([
      [0, 1],
      [1, 0],
    ]);
    expect(client.whenClosed).toBeUndefined();
  });

  test("ends with its failure when nobody has, and gives everything back", async () => {
    const { pool, client, dials, outcome } = dialAlone();
    dials[0]?.done(refused);
    const ended = await outcome;
    expect(ended).toMatchObject({ ok: false, failure: { detail: "connection_refused", nextHop: "pool/a" } });
    expect(pool.members.map(({ active, failed }) => [active, failed])).toEqual([
      [0, 1],
      [0, 0],
    ]);
    expect(client.whenClosed).toBeUndefined();
  });

  test("ends with the client, and blames nobody", async () => {
    const { pool, client, outcome } = dialAlone();
    client.break();
    expect(await outcome).toMatchObject({ ok: false, failure: { detail: "client_gone" } });
    expect(pool.members.map(({ active, dialling, failed }) => [active, dialling, failed])).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
  });
});
