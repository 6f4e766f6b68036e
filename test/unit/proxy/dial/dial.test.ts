import { describe, expect, test } from "bun:test";
import type { Connect, ConnectResult, ConnectTarget } from "../../../../src/net/runtime/connect.ts";
import { hostFromIp } from "../../../../src/address/host.ts";
import { dial } from "../../../../src/proxy/dial/dial.ts";
import type { DialledAddress } from "../../../../src/proxy/dial/connect-race.ts";
import { Pools } from "../../../../src/proxy/upstream/pools.ts";
import { Upstreams } from "../../../../src/proxy/upstream/upstreams.ts";
import { FakeConn } from "../../../support/fake-conn.ts";
import { allowOutside } from "../../../support/dial-stand.ts";
import { createFakeResolver } from "../../../support/fake-resolver.ts";
import { makeIp } from "../../../support/make-policy.ts";

/** Milliseconds that never end within a test. */
const NEVER = 1_000_000;
const address: DialledAddress = { ip: makeIp("9.9.9.9"), port: 443 };

/** A dial in a network in which nothing happens unless the test says so. */
function makeStand({ connectMs = NEVER, client = new FakeConn(), sourceAddress }: StandOptions = {}) {
  const seen = { targets: [] as ConnectTarget[], cancelled: 0 };
  let settle: (result: ConnectResult) => void = () => undefined;
  const connect: Connect = (target, done) => {
    seen.targets.push(target);
    settle = done;
    return { cancel: () => void (seen.cancelled += 1) };
  };
  const outcome = dial(
    {
      requester: { client: makeIp("203.0.113.7"), clientPort: 50_123, runtime: { timeouts: { connectMs } } },
      client,
      target: { host: hostFromIp(address.ip), port: address.port },
      route: { name: "direct", hops: [], ...(sourceAddress && { sourceAddress }) },
      grant: { decision: allowOutside },
    },
    {
      resolver: createFakeResolver({}),
      own: { has: () => false },
      upstreams: new Upstreams(),
      pools: new Pools(),
      connect,
    },
  );
  return { seen, client, outcome, settle: (result: unknown) => settle(result as ConnectResult) };
}

interface StandOptions {
  readonly connectMs?: number;
  readonly client?: FakeConn;
  readonly sourceAddress?: string;
}

describe("dial() to one address", () => {
  test("gives the connection and its address, and leaves the client alone", async () => {
    const { seen, client, outcome, settle } = makeStand();
    const conn = new FakeConn();
    settle({ ok: true, conn });
    expect(await outcome).toEqual({ ok: true, value: { conn, address, decision: allowOutside } });
    expect(client.whenClosed).toBeUndefined();
    expect(seen).toEqual({ targets: [address], cancelled: 0 });
  });

  test("connects from the address that it is told", async () => {
    const { seen, outcome, settle } = makeStand({ sourceAddress: "192.0.2.77" });
    settle({ ok: false, code: "EADDRNOTAVAIL" });
    expect(await outcome).toMatchObject({ ok: false, failure: { detail: "out_of_resources" } });
    expect(seen.targets).toEqual([{ ...address, source: makeIp("192.0.2.77") }]);
  });

  test("tells why it failed", async () => {
    const { client, outcome, settle } = makeStand();
    settle({ ok: false, code: "ECONNREFUSED" });
    const failure = { detail: "connection_refused", note: "ECONNREFUSED" } as const;
    expect(await outcome).toEqual({ ok: false, failure, decision: allowOutside });
    expect(client.whenClosed).toBeUndefined();
  });

  test("gives up when the time is over", async () => {
    const { seen, outcome } = makeStand({ connectMs: 1 });
    expect(await outcome).toMatchObject({ ok: false, failure: { detail: "connection_timeout" } });
    expect(seen.cancelled).toBe(1);
  });

  test("gives up when the client goes, and resets what comes too late", async () => {
    const { seen, client, outcome, settle } = makeStand();
    client.break();
    const late = new FakeConn();
    settle({ ok: true, conn: late });
    expect(await outcome).toMatchObject({ ok: false, failure: { detail: "client_gone" } });
    expect([seen.cancelled, late.ends]).toEqual([1, ["reset"]]);
  });

  test("does not even begin for a client that is gone", async () => {
    const client = new FakeConn();
    client.break();
    const { seen, outcome } = makeStand({ client });
    expect(await outcome).toMatchObject({ ok: false, failure: { detail: "client_gone" } });
    expect(seen.targets).toEqual([]);
  });
});
