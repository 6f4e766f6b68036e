import { describe, expect, test } from "bun:test";
import { type Keeping, OriginPool } from "../../../../src/proxy/exchange/origin-pool.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";
import { waitFor } from "../../../support/wait-for.ts";

const ip = makeIp("192.0.2.1");
const keeping: Keeping = { key: "a", idleMs: 60_000, total: 3, perKey: 2 };

function put(pool: OriginPool, changes: Partial<Keeping> = {}): MemoryConn {
  const conn = new MemoryConn();
  pool.put({ conn, address: { ip, port: 80 }, ip, reused: false }, { ...keeping, ...changes });
  return conn;
}

const anyAddress = (): boolean => true;

describe("a pool of idle connections to origins", () => {
  test("gives the one that was put in last, once", () => {
    const pool = new OriginPool();
    const [first, last] = [put(pool), put(pool)];
    expect(pool.take("a", anyAddress)?.conn).toBe(last);
    expect(pool.take("a", anyAddress)?.conn).toBe(first);
    expect(pool.take("a", anyAddress)).toBeUndefined();
    expect(pool.size).toBe(0);
  });

  test("gives none of another key, and none whose address does not fit", () => {
    const pool = new OriginPool();
    put(pool);
    expect(pool.take("b", anyAddress)).toBeUndefined();
    expect(pool.take("a", () => false)).toBeUndefined();
    expect(pool.size).toBe(1);
  });

  test("closes the oldest one of a key when that has too many", () => {
    const pool = new OriginPool();
    const conns = [put(pool), put(pool), put(pool)];
    expect(conns.map(({ closed }) => closed)).toEqual([true, false, false]);
  });

  test("closes the oldest one of all when there are too many", () => {
    const pool = new OriginPool();
    const conns = [put(pool), put(pool, { key: "b" }), put(pool)];
    const again = pool.take("a", anyAddress);
    if (again !== undefined) pool.put(again, keeping);
    const more = put(pool, { key: "c" });
    expect([...conns, more].map(({ closed }) => closed)).toEqual([true, false, false, false]);
  });

  test("closes one that says something although nobody asked, or ends", () => {
    const pool = new OriginPool();
    const talkative = put(pool);
    const ended = put(pool);
    talkative.say("HTTP/1.1 408 Request Timeout\r\n\r\n");
    ended.finish();
    expect([talkative.closed, ended.closed, pool.size]).toEqual([true, true, 0]);
  });

  test("closes one that is idle for too long", async () => {
    const pool = new OriginPool();
    const conn = put(pool, { idleMs: 1 });
    await waitFor(() => conn.closed, "the connection to be closed");
    expect(pool.size).toBe(0);
  });

  test("closes what it has, and what it is given, once it is closed", () => {
    const pool = new OriginPool();
    const before = put(pool);
    pool.close();
    expect([before.closed, put(pool).closed, pool.size]).toEqual([true, true, 0]);
  });
});
