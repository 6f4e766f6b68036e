import { describe, expect, test } from "bun:test";
import type { Failure } from "../../../../src/proxy/failure.ts";
import type { Endable } from "../../../../src/proxy/exchange/forwarding.ts";
import { LiveTable } from "../../../../src/proxy/record/live-table.ts";
import { FakeTunnel } from "../../../support/fake-tunnel.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

describe("LiveTable", () => {
  test("lists tunnels, the oldest first, with their bytes and age at that moment", () => {
    const live = new LiveTable();
    const tunnel = new FakeTunnel(1, 2);
    const session = makeRequestRecord({
      id: "a",
      user: "alice",
      protocol: "http",
      target: makeEndpoint("example.org:443"),
      dialled: { ip: makeIp("192.0.2.1"), port: 443 },
      decision: { verdict: "allow", rule: "default", allowPrivate: false, via: [] },
      route: { name: "direct", hops: [] },
      startedAt: Date.UTC(2026, 0, 2),
      stageSince: 1000,
    });
    live.add(session, tunnel);
    live.add(makeRequestRecord({ id: "b", stageSince: 2000 }), new FakeTunnel());
    tunnel.up = 10;
    const list = live.list(3500.4);
    expect(list.map(({ id, ageMs }) => [id, ageMs])).toEqual([
      ["a", 2500],
      ["b", 1500],
    ]);
    expect(list[0]).toEqual({
      kind: "tunnel",
      id: "a",
      listener: "127.0.0.1:8080",
      client: "10.0.0.9:50123",
      user: "alice",
      protocol: "http",
      target: "example.org:443",
      dialled: "192.0.2.1:443",
      rule: "default",
      route: "direct",
      startedAt: "2026-01-02T00:00:00.000Z",
      ageMs: 2500,
      bytesUp: 10,
      bytesDown: 2,
    });
  });

  test("adds up the bytes of all tunnels under way", () => {
    const live = new LiveTable();
    live.add(makeRequestRecord({ id: "a" }), new FakeTunnel(1, 2));
    live.add(makeRequestRecord({ id: "b" }), new FakeTunnel(10, 20));
    expect(live.bytes()).toEqual({ up: 11, down: 22 });
  });

  test("forgets a tunnel once, and gives it back", () => {
    const live = new LiveTable();
    const tunnel = new FakeTunnel();
    const session = makeRequestRecord();
    live.add(session, tunnel);
    expect(live.size).toBe(1);
    expect(live.remove(session)).toBe(tunnel);
    expect(live.remove(session)).toBeUndefined();
    expect(live.size).toBe(0);
  });

  test("kills by id, and says when there is none", () => {
    const live = new LiveTable();
    const [one, other] = [new FakeTunnel(), new FakeTunnel()];
    live.add(makeRequestRecord({ id: "a" }), one);
    live.add(makeRequestRecord({ id: "b" }), other);
    expect(live.kill({ id: "a" })).toBe(1);
    expect(live.kill({ id: "c" })).toBe(0);
    expect([one.kills, other.kills]).toEqual([["killed"], []]);
  });

  test("ends everything when the time for shutting down ran out", () => {
    const live = new LiveTable();
    const tunnels = [new FakeTunnel(), new FakeTunnel()];
    for (const [index, tunnel] of tunnels.entries()) live.add(makeRequestRecord({ id: String(index) }), tunnel);
    expect(live.killAll()).toBe(2);
    expect(tunnels.map((tunnel) => tunnel.kills)).toEqual([["drained"], ["drained"]]);
  });

  test("can lose tunnels while it ends them", () => {
    const live = new LiveTable();
    for (const id of ["a", "b", "c"]) {
      const session = makeRequestRecord({ id });
      const tunnel = new FakeTunnel();
      tunnel.kill = () => void live.remove(session);
      live.add(session, tunnel);
    }
    expect(live.killAll()).toBe(3);
    expect(live.size).toBe(0);
  });

  test("lists forwarded requests that are under way after the tunnels, and ends those that are meant", () => {
    const ended: [string, Failure][] = [];
    const makeRequest = (id: string, user: string): Endable => ({
      abort: (failure) => void ended.push([id, failure]),
      look: () => ({ record: makeRequestRecord({ id, user, method: "GET", scheme: "http" }), up: 3, down: 4 }),
      followLimits: () => {},
    });
    const idle: Endable = {
      abort: () => void ended.push(["idle", { detail: "killed" }]),
      look: () => undefined,
      followLimits: () => {},
    };
    const live = new LiveTable([makeRequest("r1", "alice"), idle, makeRequest("r2", "bob")]);
    const tunnel = new FakeTunnel();
    live.add(makeRequestRecord({ id: "t1", user: "bob" }), tunnel);
    expect(live.list(0).map(({ kind, id, method, bytesUp }) => [kind, id, method, bytesUp])).toEqual([
      ["tunnel", "t1", undefined, 0],
      ["request", "r1", "GET", 3],
      ["request", "r2", "GET", 3],
    ]);
    expect(live.list(0, { user: "bob" }).map(({ id }) => id)).toEqual(["t1", "r2"]);
    expect(live.kill({ user: "bob" })).toBe(2);
    expect(tunnel.kills).toEqual(["killed"]);
    expect(ended).toEqual([["r2", { detail: "killed" }]]);
    expect(live.size).toBe(1);
  });

  test.each([
    [{ client: "10.0.0.9" }, 1],
    [{ client: "10.0.0.8" }, 0],
    [{ rule: "corp" }, 1],
    [{ rule: "other" }, 0],
    [{ route: "direct" }, 1],
    [{ route: "corp" }, 0],
    [{ port: 443 }, 1],
    [{ user: "nobody" }, 0],
    [{}, 1],
  ])("finds tunnels by %p", (filter, count) => {
    const live = new LiveTable();
    const session = makeRequestRecord({
      target: makeEndpoint("example.org:443"),
      decision: { verdict: "allow", rule: "corp", allowPrivate: false, via: [] },
      route: { name: "direct", hops: [] },
    });
    live.add(session, new FakeTunnel());
    expect(live.list(0, filter)).toHaveLength(count);
  });
});
