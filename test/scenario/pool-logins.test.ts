import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { ask, takeResponse } from "../support/http-origin.ts";
import { listenAsMember } from "../support/member-peers.ts";
import { moveConnections } from "../support/move-connections.ts";
import { openGate } from "../support/open-gate.ts";
import { type PoolSettings, rules, startPool, stateOf } from "../support/pool-proxy.ts";
import { basic, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";

const users = [
  { name: "alice", password: "pw" },
  { name: "bob", password: "pw" },
];
const config: PenstockConfig = { users, auth: { parameters: ["session"] }, rules };

const startSessions = (pool: PoolSettings): Promise<TestProxy> => startPool(pool, config);

function fieldsFor(name: string): string {
  return `Proxy-Authorization: ${basic(name, "pw")["Proxy-Authorization"]}\r\n`;
}

/** The head of the answer to a CONNECT as that user. The tunnel is closed. */
async function connectAs(proxy: TestProxy, name: string, port: number): Promise<string> {
  const { peer, head } = await proxy.tunnel(`127.0.0.1:${port}`, basic(name, "pw"));
  peer.reset();
  return head;
}

describe("sessions in user names", () => {
  test("keep their member, each user's apart; without one requests go round", async () => {
    using echo = listenEcho();
    await using one = await startConnectUpstream();
    await using two = await startConnectUpstream();
    const pool = [`http://127.0.0.1:${one.port}`, `http://127.0.0.1:${two.port}`];
    await using proxy = await startSessions({ pool, sticky: { by: "session" } });
    const asked = ["alice-session-a", "bob-session-a", "alice-session-a", "bob-session-a", "alice-session-a"];
    for (const name of asked) expect(await connectAs(proxy, name, echo.port)).toStartWith("HTTP/1.1 200 ");
    const members: unknown[] = [];
    for (let at = 0; at < asked.length; at++) members.push((await proxy.record(at))["member"]);
    expect(members[0]).not.toBe(members[1] as never);
    expect(members).toEqual([members[0], members[1], members[0], members[1], members[0]]);
    const before = [one.asked.length, two.asked.length];
    for (let at = 0; at < 4; at++) await connectAs(proxy, "alice", echo.port);
    expect([one.asked.length, two.asked.length]).toEqual(before.map((count) => count + 2));
  });

  test("choose by hash, and requests without one by their user", async () => {
    using echo = listenEcho();
    await using one = await startConnectUpstream();
    await using two = await startConnectUpstream();
    const pool = [`http://127.0.0.1:${one.port}`, `http://127.0.0.1:${two.port}`];
    await using proxy = await startSessions({ pool, balance: "hash", hash: "session" });
    for (let at = 0; at < 16; at++) await connectAs(proxy, `alice-session-${at}`, echo.port);
    expect(Math.min(one.asked.length, two.asked.length)).toBeGreaterThan(0);
    const before = [one.asked.length, two.asked.length];
    for (let at = 0; at < 4; at++) await connectAs(proxy, "alice", echo.port);
    const added = [one.asked.length - (before[0] ?? 0), two.asked.length - (before[1] ?? 0)];
    expect(added.toSorted()).toEqual([0, 4]);
  });
});

describe("a member whose user name needs a session", () => {
  test("is passed over for requests without one, which are refused when there is no other", async () => {
    using echo = listenEcho();
    await using one = await startConnectUpstream();
    await using two = await startConnectUpstream();
    const needy = { url: `http://127.0.0.1:${one.port}`, username: "acme-{session}", password: "pw" };
    const health = { probe: { connect: `127.0.0.1:${echo.port}` }, every: "50ms" } as const;
    await using proxy = await startSessions({ pool: [needy, `http://127.0.0.1:${two.port}`], balance: "first" });
    await using alone = await startSessions({ pool: [needy], wait: "5s", health });
    expect(await connectAs(proxy, "alice", echo.port)).toStartWith("HTTP/1.1 200 ");
    expect([one.asked.length, two.asked.length]).toEqual([0, 1]);
    expect(await connectAs(proxy, "alice-session-a", echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(one.asked).toHaveLength(1);
    expect(await connectAs(alone, "alice", echo.port)).toStartWith("HTTP/1.1 403 ");
    expect(await alone.record(0)).toMatchObject({
      detail: "parameters_unfit",
      next_hop: `exits/127.0.0.1:${one.port}`,
    });
    using client = await alone.connect();
    client.write(ask("GET", `http://127.0.0.1:${echo.port}/`, fieldsFor("alice")));
    expect((await takeResponse(client, false)).head).toStartWith("HTTP/1.1 403 ");
    // A check knows no session: it connects, and asks for nothing.
    await waitFor(() => one.sockets.length > 3, "checks");
    expect(stateOf(alone)).toMatchObject({ health: "healthy" });
    expect(one.asked).toHaveLength(1);
  });

  test("is not left out because it does not know the user name, and another one is asked", async () => {
    using echo = listenEcho();
    using strict = listenAsMember("answers 407");
    await using two = await startConnectUpstream();
    const needy = { url: `http://127.0.0.1:${strict.port}`, username: "acme-{session}", password: "pw" };
    await using proxy = await startSessions({ pool: [needy, `http://127.0.0.1:${two.port}`], balance: "first" });
    for (let at = 0; at < 5; at++)
      expect(await connectAs(proxy, `alice-session-${at}`, echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(stateOf(proxy)).toMatchObject({ health: "healthy", failed: 0, connections: 0 });
    expect(strict.accepted.length).toBeGreaterThanOrEqual(5);
  });

  test("is not left out for what it says to a forwarded request either", async () => {
    using strict = listenAsMember("answers 407");
    using other = listenAsMember("answers 407");
    const member = ({ port }: { port: number }) => ({
      url: `http://127.0.0.1:${port}`,
      username: "acme-{session}",
      password: "pw",
    });
    await using proxy = await startSessions({ pool: [member(strict), member(other)], balance: "first" });
    for (let at = 0; at < 4; at++) {
      using client = await proxy.connect();
      client.write(ask("GET", "http://target.example/", fieldsFor(`alice-session-${at}`)));
      expect((await takeResponse(client, false)).head).toStartWith("HTTP/1.1 502 ");
      expect(await proxy.record(at)).toMatchObject({ detail: "upstream_credentials", attempts: 2 });
    }
    for (const at of [0, 1]) expect(stateOf(proxy, at)).toMatchObject({ health: "healthy", failed: 0, connections: 0 });
  });
});

test("a tunnel that moves to another process counts at its member there, and keeps its parameters", async () => {
  using echo = listenEcho();
  await using upstream = await startConnectUpstream();
  const member = `127.0.0.1:${upstream.port}`;
  const upstreams = { exits: { pool: [`http://${member}`] } };
  const both: PenstockConfig = { ...config, rules, upstreams, default: "exits" };
  await using one = openGate(both, { reactor: requireReactor() });
  await using two = openGate(both, { reactor: requireReactor() });
  const { peer } = await one.tunnel(`127.0.0.1:${echo.port}`, basic("alice-session-m", "pw"));
  peer.write("hello");
  await peer.untilText("hello");
  const count = (gate: typeof one): number | undefined => gate.gate.pools.get("exits")?.find(member)?.active;
  expect([count(one), count(two)]).toEqual([1, 0]);
  await moveConnections(one.gate, two.gate, 1);
  expect([count(one), count(two)]).toEqual([0, 1]);
  peer.finish();
  await peer.untilEnd();
  await waitFor(() => two.lines.length > 0, "the line");
  expect(two.lines[0]).toMatchObject({
    route: "exits",
    member: `exits/${member}`,
    attempts: 1,
    user: "alice",
    parameters: { session: "m" },
  });
  expect(count(two)).toBe(0);
});
