import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { allowLoopback, basic, startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenEcho, type RawPeer } from "../support/raw-peer.ts";

const users = [
  { name: "ann", password: "one" },
  { name: "bob", password: "two" },
];

const statusOf = (head: string) => Number(head.slice(9, 12));

/** Opens a tunnel, ends it, and gives the status. */
async function tryTunnel(proxy: TestProxy, port: number, fields: Record<string, string> = {}): Promise<number> {
  const { peer, head } = await proxy.tunnel(`127.0.0.1:${port}`, fields);
  peer.reset();
  return statusOf(head);
}

async function tryTunnels(count: number, ...asked: Parameters<typeof tryTunnel>): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 0; i < count; i += 1) statuses.push(await tryTunnel(...asked));
  return statuses;
}

/** Sends requests on one connection, one after the other, and gives the heads of the answers. */
async function getAll(client: RawPeer, uri: string, count: number, fields = ""): Promise<string[]> {
  const heads: string[] = [];
  for (let i = 0; i < count; i += 1) {
    client.write(ask("GET", uri, fields));
    heads.push((await takeResponse(client)).head);
  }
  return heads;
}

/** Connects behind a load balancer, as the client with that address. */
async function tunnelFrom(proxy: TestProxy, client: string, port: number): Promise<{ peer: RawPeer; status: number }> {
  const peer = await proxy.connect();
  const family = client.includes(":") ? "TCP6" : "TCP4";
  const own = client.includes(":") ? "2001:db8:ffff::1" : "198.51.100.1";
  peer.write(`PROXY ${family} ${client} ${own} 4711 8080\r\nCONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: a\r\n\r\n`);
  await peer.untilText("\r\n\r\n");
  return { peer, status: statusOf(peer.text) };
}

const behindBalancer = { open: true, listen: [{ port: 0, proxyProtocol: ["127.0.0.0/8"] }] };

describe("a rate", () => {
  test("of a client is told with the limit, the exact wait, in log and metric", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ limits: { perClient: { rate: "2/h" } } });
    expect(await tryTunnels(2, proxy, echo.port)).toEqual([200, 200]);
    const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    await peer.untilEnd();
    expect(head).toStartWith("HTTP/1.1 429 Too many requests\r\n");
    expect(head).toContain('details="rate_exceeded perClient.rate: from this address"');
    const wait = Number(/\r\nRetry-After: (\d+)\r\n/.exec(head)?.[1]);
    expect(wait).toBeLessThanOrEqual(1800);
    expect(wait).toBeGreaterThan(1700);
    expect(await proxy.record(2)).toMatchObject({
      status: 429,
      detail: "rate_exceeded",
      limit: "perClient.rate",
      stage: "authenticate",
    });
    expect(await proxy.metrics()).toContain('penstock_limited_total{limit="perClient.rate"} 1\n');
  });

  test("counts every request on a kept connection, also those like the one before", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ limits: { perClient: { rate: "5/h" } } });
    using client = await proxy.connect();
    const heads = await getAll(client, origin.uri(), 7);
    expect(heads.map(statusOf)).toEqual([200, 200, 200, 200, 200, 429, 429]);
    expect(heads[5]).not.toContain("Connection: close");
    expect(origin.heads).toHaveLength(5);
    expect(await proxy.record(6)).toMatchObject({ limit: "perClient.rate", method: "GET" });
  });

  for (const [name, limits] of [
    ["rate", { rate: "4/h" }],
    ["perUser.rate", { perUser: { rate: "4/h" } }],
    ["perTarget.rate", { perTarget: { rate: "4/h" } }],
  ] as const) {
    test(`(${name}) counts tunnels and requests together`, async () => {
      using origin = serveHttp(() => ok("x"));
      await using proxy = await startProxy({ users, limits });
      using client = await proxy.connect();
      const credentials = Object.entries(basic("ann", "one"))
        .map(([field, value]) => `${field}: ${value}\r\n`)
        .join("");
      expect(await tryTunnel(proxy, origin.server.port, basic("ann", "one"))).toBe(200);
      const heads = await getAll(client, origin.uri(), 4, credentials);
      expect(heads.map(statusOf)).toEqual([200, 200, 200, 429]);
      expect(heads[3]).toContain(`details="rate_exceeded ${name}: `);
      expect(await tryTunnel(proxy, origin.server.port, basic("ann", "one"))).toBe(429);
    });
  }

  test("of a client is judged before its password is verified", async () => {
    using echo = listenEcho();
    const password = await Bun.password.hash("one", { algorithm: "bcrypt", cost: 4 });
    await using proxy = await startProxy({
      users: [{ name: "ann", password }],
      limits: { perClient: { rate: "2/h" } },
    });
    expect(await tryTunnels(3, proxy, echo.port, basic("ann", "wrong"))).toEqual([407, 407, 429]);
    expect(await tryTunnel(proxy, echo.port, basic("ann", "one"))).toBe(429);
    expect(await proxy.record(3)).toMatchObject({ limit: "perClient.rate" });
    expect(proxy.records[3]).not.toHaveProperty("user");
  });

  test("of a user, and of everybody, is not used up with wrong passwords", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users, limits: { rate: "2/h", perUser: { rate: "1/h" } } });
    for (let i = 0; i < 10; i += 1) expect(await tryTunnel(proxy, echo.port, basic("ann", "wrong"))).toBe(407);
    expect(await tryTunnels(2, proxy, echo.port, basic("ann", "one"))).toEqual([200, 429]);
    expect(await tryTunnel(proxy, echo.port, basic("bob", "two"))).toBe(200);
    // Nothing is left for everybody, which is said before the password is looked at.
    expect(await tryTunnel(proxy, echo.port, basic("bob", "wrong"))).toBe(429);
    expect(await proxy.record(13)).toMatchObject({ limit: "rate" });
  });

  test("of a user's own goes before that of all users", async () => {
    using echo = listenEcho();
    const own = [{ name: "ann", password: "one", limits: { rate: "3/h" } }, ...users.slice(1)];
    await using proxy = await startProxy({ users: own, limits: { perUser: { rate: "1/h" } } });
    expect(await tryTunnels(4, proxy, echo.port, basic("ann", "one"))).toEqual([200, 200, 200, 429]);
    expect(await tryTunnels(2, proxy, echo.port, basic("bob", "two"))).toEqual([200, 429]);
  });

  test("of a target is not used up by who may not go there", async () => {
    using one = listenEcho();
    using two = listenEcho();
    await using proxy = await startProxy({
      users,
      limits: { perTarget: { rate: "1/h" } },
      rules: [{ ...allowLoopback, users: ["ann"] }],
      default: "deny",
    });
    expect(await tryTunnels(3, proxy, one.port, basic("bob", "two"))).toEqual([403, 403, 403]);
    expect(await tryTunnels(2, proxy, one.port, basic("ann", "one"))).toEqual([200, 429]);
    expect(await tryTunnel(proxy, two.port, basic("ann", "one"))).toBe(200);
  });

  test("is for SOCKS clients, too", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ limits: { perClient: { rate: "1/h" } } });
    const request = Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, echo.port >> 8, echo.port & 0xff);
    const codes: number[] = [];
    for (let i = 0; i < 2; i += 1) {
      using client = await proxy.connect();
      client.write(Uint8Array.of(5, 1, 0));
      await client.untilReceived(2);
      client.write(request);
      await client.untilReceived(4);
      codes.push(client.take()[3] ?? -1);
    }
    expect(codes).toEqual([0, 1]);
    using four = await proxy.connect();
    four.write(Uint8Array.of(4, 1, echo.port >> 8, echo.port & 0xff, 127, 0, 0, 1, 0));
    await four.untilReceived(2);
    expect(four.take()[1]).toBe(91);
    expect(await proxy.record(2)).toMatchObject({ protocol: "socks4", limit: "perClient.rate" });
  });

  test("that a reload changes holds from the next request on, and what was used stays used", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ limits: { perClient: { rate: "2/h" } } });
    using client = await proxy.connect();
    expect((await getAll(client, origin.uri(), 3)).map(statusOf)).toEqual([200, 200, 429]);
    expect((await proxy.reload({ limits: { perClient: { rate: "5/h" } } })).kind).toBe("done");
    expect((await getAll(client, origin.uri(), 4)).map(statusOf)).toEqual([200, 200, 200, 429]);
    expect((await proxy.reload({ limits: { perClient: { rate: "3/h" } } })).kind).toBe("done");
    expect((await getAll(client, origin.uri(), 1)).map(statusOf)).toEqual([429]);
    expect((await proxy.reload({})).kind).toBe("done");
    expect((await getAll(client, origin.uri(), 3)).map(statusOf)).toEqual([200, 200, 200]);
  });

  test("counts the client that a PROXY header names, by its network", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({
      ...behindBalancer,
      limits: { perClient: { rate: "1/h", prefix: { v4: 24, v6: 56 } } },
    });
    const statuses: number[] = [];
    for (const client of [
      "192.0.2.1",
      "192.0.2.200",
      "192.0.3.1",
      "::ffff:192.0.3.2",
      "2001:db8::1",
      "2001:db8:0:ff::1",
      "2001:db8:0:100::1",
    ]) {
      const { peer, status } = await tunnelFrom(proxy, client, echo.port);
      peer.reset();
      statuses.push(status);
    }
    expect(statuses).toEqual([200, 429, 200, 429, 200, 429, 200]);
  });
});

describe("the slots of connections", () => {
  const each = { connections: 1 };
  const limits = { ...each, perUser: each, perClient: each, perTarget: each };
  test.each([
    ["in the relay", "", { splice: "off" }],
    ["in a lane", "moved", { spliceAfter: "1B" }],
    ["under a bandwidth", "moved", { limits: { ...limits, bandwidth: "1MB/s" } }],
    ["over the runtime's sockets", "", { sockets: "runtime" }],
  ] as const)("come back when a tunnel %s has been unused for its idle timeout", async (_where, bytes, config) => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users, limits, timeouts: { idle: "200ms" }, ...config });
    for (let turn = 0; turn < 3; turn += 1) {
      const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic("ann", "one"));
      expect(statusOf(head)).toBe(200);
      if (bytes !== "") {
        peer.write(bytes);
        await peer.untilText(bytes);
      }
      await peer.untilEnd();
      expect(await proxy.record(turn)).toMatchObject({ end: "idle_timeout", status: 200 });
    }
  });
});

describe("the number of connections to a target", () => {
  test("is limited for tunnels, and a slot comes back with each end", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ limits: { perTarget: { connections: 2 } } });
    const open = () => proxy.tunnel(`127.0.0.1:${echo.port}`);
    const [first, second] = [await open(), await open()];
    expect([statusOf(first.head), statusOf(second.head)]).toEqual([200, 200]);
    const third = await open();
    expect(third.head).toStartWith("HTTP/1.1 429 Too many connections\r\n");
    expect(third.head).toContain('details="too_many_connections perTarget.connections: to this target"');
    first.peer.finish();
    await first.peer.untilEnd();
    await proxy.record(1);
    expect(await tryTunnel(proxy, echo.port)).toBe(200);
    second.peer.reset();
    third.peer.reset();
  });

  test("counts requests under way, and not connections that wait for the next one", async () => {
    let held = 0;
    using origin = serveHttp(({ head }) => {
      if (!head.includes("/slow")) return ok("x");
      held += 1;
      return undefined;
    });
    await using proxy = await startProxy({ limits: { perTarget: { connections: 1 } } });
    using slow = await proxy.connect();
    using fast = await proxy.connect();
    expect((await getAll(slow, origin.uri(), 3)).map(statusOf)).toEqual([200, 200, 200]);
    expect((await getAll(fast, origin.uri(), 3)).map(statusOf)).toEqual([200, 200, 200]);
    slow.write(ask("GET", origin.uri("/slow")));
    await waitFor(() => held === 1, "the slow request");
    expect((await getAll(fast, origin.uri(), 2)).map(statusOf)).toEqual([429, 429]);
    slow.reset();
    await proxy.record(8);
    expect((await getAll(fast, origin.uri(), 2)).map(statusOf)).toEqual([200, 200]);
  });

  test("is free again after each kind of failure", async () => {
    await using proxy = await startProxy({ limits: { perTarget: { connections: 1 } }, timeouts: { connect: "300ms" } });
    using echo = listenEcho();
    echo.stop();
    for (let i = 0; i < 3; i += 1) expect(await tryTunnel(proxy, echo.port)).toBe(502);
    using client = await proxy.connect();
    expect((await getAll(client, `http://127.0.0.1:${echo.port}/`, 3)).map(statusOf)).toEqual([502, 502, 502]);
  });
});
