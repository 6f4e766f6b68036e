import { describe, expect, test } from "bun:test";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { listenAsMember } from "../support/member-peers.ts";
import { rules, startPool, stateOf } from "../support/pool-proxy.ts";
import { waitFor } from "../support/proxy.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const refused = reserveClosedPort();

describe("forwarded requests through a pool", () => {
  const get = (fields = "") => ask("GET", "http://far.example/", fields);

  test("take members by turns over one connection of the client, and their kept connections", async () => {
    using a = serveHttp(() => ok("a"));
    using b = serveHttp(() => ok("b"));
    await using proxy = await startPool({ pool: [`http://127.0.0.1:${a.port}`, `http://127.0.0.1:${b.port}`] });
    using client = await proxy.connect();
    const bodies: string[] = [];
    for (let at = 0; at < 6; at++) {
      client.write(get());
      bodies.push((await takeResponse(client)).body);
    }
    expect(bodies.join("")).toBe("ababab");
    expect(a.server.accepted.length + b.server.accepted.length).toBe(2);
    await waitFor(() => proxy.records.length === 6, "six records");
    expect(proxy.records.map(({ member }) => member)).toEqual(
      Array.from({ length: 6 }, (_, at) => `exits/127.0.0.1:${at % 2 === 0 ? a.port : b.port}`),
    );
    expect([stateOf(proxy, 0), stateOf(proxy, 1)]).toMatchObject([{ connections: 0 }, { connections: 0 }]);
  });

  test.each(["closes after accept", "resets after accept", "answers garbage", "answers 407"])(
    "go to another member when one %s, and it is left out",
    async (behaviour) => {
      using bad = listenAsMember(behaviour);
      using good = serveHttp(() => ok("good"));
      await using proxy = await startPool({
        pool: [`http://127.0.0.1:${bad.port}`, `http://127.0.0.1:${good.port}`],
        balance: "first",
      });
      using client = await proxy.connect();
      for (let at = 0; at < 4; at++) {
        client.write(get());
        expect((await takeResponse(client)).body).toBe("good");
      }
      await waitFor(() => stateOf(proxy)?.health === "ejected", "the ejection");
      expect(stateOf(proxy)).toMatchObject({ failed: 3, connections: 0 });
    },
  );

  test.each([
    ["answers 407", "upstream_credentials"],
    ["answers garbage", "bad_response"],
    ["closes after accept", "connection_reset"],
  ])("do not leave members out when the target behind each of them %s", async (behaviour, detail) => {
    using a = listenAsMember(behaviour);
    using b = listenAsMember(behaviour);
    const pool = [`http://127.0.0.1:${a.port}`, `http://127.0.0.1:${b.port}`];
    await using proxy = await startPool({ pool, balance: "first", eject: { failures: 1 } });
    for (const at of [0, 1]) {
      using client = await proxy.connect();
      client.write(get());
      expect((await takeResponse(client, false)).head).toStartWith("HTTP/1.1 502 ");
      expect(await proxy.record(at)).toMatchObject({ detail, attempts: 2 });
    }
    expect([stateOf(proxy, 0), stateOf(proxy, 1)]).toMatchObject([
      { health: "healthy", failed: 0, connections: 0 },
      { health: "healthy", failed: 0, connections: 0 },
    ]);
  });

  test("try no more members than they may, whether the dial or the request fails", async () => {
    const behaviours = ["answers garbage", "closes after accept", "answers 407"];
    using stack = new DisposableStack();
    const bad = behaviours.map((behaviour) => stack.use(listenAsMember(behaviour)));
    const pool = [...bad.map(({ port }) => `http://127.0.0.1:${port}`), `http://127.0.0.1:${await refused}`];
    await using proxy = await startPool({ pool, balance: "first", attempts: 2 });
    using client = await proxy.connect();
    client.write(get());
    expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 502 ");
    expect(await proxy.record()).toMatchObject({ attempts: 2, member: `exits/127.0.0.1:${bad[1]?.port}` });
    expect(bad.map(({ accepted }) => accepted.length)).toEqual([1, 1, 0]);
    expect([0, 1, 2, 3].map((at) => stateOf(proxy, at)?.connections)).toEqual([0, 0, 0, 0]);
  });

  test.each(["closes after accept", "answers garbage", "answers 407"])(
    "that cannot be repeated are not sent twice; a member that %s is left out then",
    async (behaviour) => {
      using bad = listenAsMember(behaviour);
      using good = serveHttp(() => ok("good"));
      await using proxy = await startPool({
        pool: [`http://127.0.0.1:${bad.port}`, `http://127.0.0.1:${good.port}`],
        balance: "first",
        eject: { failures: 1 },
      });
      const answer = await proxy.exchange(
        "POST http://far.example/ HTTP/1.1\r\nHost: far.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
      );
      expect(answer).toStartWith("HTTP/1.1 502 ");
      expect(good.heads).toEqual([]);
      await waitFor(() => stateOf(proxy)?.health === "ejected", "the ejection");
      expect(stateOf(proxy)).toMatchObject({ connections: 0 });
    },
  );

  test("eject a member by the status of a response, which the client gets", async () => {
    using bad = serveHttp(() => "HTTP/1.1 429 Slow down\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n");
    using good = serveHttp(() => ok("good"));
    await using proxy = await startPool({
      pool: [`http://127.0.0.1:${bad.port}`, `http://127.0.0.1:${good.port}`],
      balance: "first",
      eject: { statuses: [429] },
    });
    using client = await proxy.connect();
    client.write(get());
    expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 429 ");
    client.write(get());
    expect((await takeResponse(client)).body).toBe("good");
    expect(stateOf(proxy)).toMatchObject({ health: "ejected", reason: "answered 429" });
  });

  test("do not eject the last member by a status, which may be the target's", async () => {
    using members = new DisposableStack();
    const pool = [0, 1].map(() => {
      const member = members.use(serveHttp(() => "HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n"));
      return `http://127.0.0.1:${member.port}`;
    });
    await using proxy = await startPool({ pool, balance: "first", eject: { statuses: [429] } });
    using client = await proxy.connect();
    for (let at = 0; at < 3; at++) {
      client.write(get());
      expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 429 ");
    }
    expect([0, 1].map((at) => stateOf(proxy, at)?.health)).toEqual(["ejected", "healthy"]);
  });

  test("go to a member of another kind than the one that failed", async () => {
    using origin = serveHttp(() => ok("origin"));
    await using tunnel = await startConnectUpstream();
    await using proxy = await startPool(
      {
        pool: [
          `http://127.0.0.1:${await refused}`,
          { url: `http://127.0.0.1:${tunnel.port}`, tunnelHttp: true },
          "direct",
        ],
        balance: "first",
      },
      { rules },
    );
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${origin.port}/`));
    expect((await takeResponse(client)).body).toBe("origin");
    expect(tunnel.asked).toEqual([`127.0.0.1:${origin.port}`]);
  });
});
