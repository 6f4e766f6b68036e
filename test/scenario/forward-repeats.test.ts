import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy } from "../support/proxy.ts";

const DATED = "Date: Fri, 27 Nov 2026 23:17:51 GMT\r\n";

describe("a request like the one before it, on the same connection", () => {
  test("is forwarded, answered and recorded like that one", async () => {
    using origin = serveHttp(() => ok("x", DATED));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    const heads: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      client.write(ask("GET", origin.uri("/a"), "Accept: */*\r\nProxy-Connection: keep-alive\r\n"));
      heads.push((await takeResponse(client)).head);
    }
    expect(new Set(heads).size).toBe(1);
    expect(origin.heads).toHaveLength(3);
    expect(new Set(origin.heads).size).toBe(1);
    expect(origin.server.accepted).toHaveLength(1);
    await proxy.record(2);
    const [first, ...others] = proxy.records.map((record) => {
      const { time: _time, id: _id, ms: _ms, stage_ms, ...rest } = record;
      return { ...rest, stages: Object.keys(stage_ms as object).filter((stage) => stage !== "dial") };
    });
    expect(others).toEqual(Array.from({ length: 2 }, () => first as never));
  });

  test("is a 504 when the answer does not come", async () => {
    let asked = 0;
    using origin = serveHttp(() => ((asked += 1) === 3 ? undefined : ok("x")));
    await using proxy = await startProxy({ timeouts: { response: "200ms" } });
    using client = await proxy.connect();
    for (const status of [200, 200, 504]) {
      client.write(ask("GET", origin.uri()));
      expect((await takeResponse(client)).head).toStartWith(`HTTP/1.1 ${status} `);
    }
    expect(await proxy.record(2)).toMatchObject({ detail: "response_timeout", status: 504 });
  });

  test("is not waited for any longer than the first one", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ forward: { clientIdle: "200ms" } });
    using client = await proxy.connect();
    for (let round = 0; round < 2; round += 1) {
      client.write(ask("GET", origin.uri()));
      await takeResponse(client);
    }
    await client.untilEnd();
    expect(client.end).toBe("fin");
    expect(proxy.records).toHaveLength(2);
  });

  test("is refused once the user has another password", async () => {
    using origin = serveHttp(() => ok("x"));
    const line = async (password: string) =>
      `ann:${await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 })}\n`;
    await using proxy = await startProxy({ users: { file: "users" } }, { files: { users: await line("one") } });
    const fields = `Proxy-Authorization: Basic ${Buffer.from("ann:one").toString("base64")}\r\n`;
    using client = await proxy.connect();
    for (let round = 0; round < 2; round += 1) {
      client.write(ask("GET", origin.uri(), fields));
      expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 200 ");
    }
    expect(proxy.daemon.replaceUsers(await line("two")).ok).toBe(true);
    client.write(ask("GET", origin.uri(), fields));
    expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 407 ");
    expect(origin.heads).toHaveLength(2);
  });

  test("has its own path, also where the one before had a query and none", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    const { port } = origin;
    for (const target of ["?a/", "?a/b", "/c?d/", "/c"]) {
      client.write(`GET http://127.0.0.1:${port}${target} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
      await takeResponse(client);
    }
    // What no host can have is refused also where the target begins alike.
    client.write(`GET http://127.0.0.1:${port}?a/b HTTP/1.1\r\nHost: 127.0.0.1:${port}?a\r\n\r\n`);
    expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 400 ");
    expect(origin.heads.map((head) => head.split(" ")[1])).toEqual(["/?a/", "/?a/b", "/c?d/", "/c"]);
  });

  test("may go to another origin, and goes where it is to go", async () => {
    using first = serveHttp(() => ok("first"));
    using second = serveHttp(() => ok("second"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    for (let round = 0; round < 3; round += 1) {
      for (const [origin, body] of [
        [first, "first"],
        [second, "second"],
      ] as const) {
        client.write(ask("GET", origin.uri(`/${round}`)));
        expect((await takeResponse(client)).body).toBe(body);
      }
    }
    await proxy.record(5);
    const { port } = second;
    expect(
      proxy.records.filter(({ target, dialled }) => target === dialled && target === `127.0.0.1:${port}`),
    ).toHaveLength(3);
    expect(second.heads.every((head) => head.includes(`\r\nHost: 127.0.0.1:${port}\r\n`))).toBe(true);
  });

  test("takes a place among those of its user again, when another one asked meanwhile", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({
      users: ["ann", "bob"].map((name) => ({ name, password: "secret" })),
      limits: { perUser: { connections: 1 } },
    });
    const request = (user: string) =>
      ask("GET", origin.uri(), `Proxy-Authorization: Basic ${Buffer.from(`${user}:secret`).toString("base64")}\r\n`);
    using client = await proxy.connect();
    using other = await proxy.connect();
    for (const [peer, user, status] of [
      [client, "ann", 200],
      [client, "ann", 200],
      [client, "bob", 200],
      [other, "ann", 200],
      [client, "bob", 200],
      [client, "ann", 429],
    ] as const) {
      peer.write(request(user));
      expect((await takeResponse(peer)).head).toStartWith(`HTTP/1.1 ${status} `);
    }
  });

  test("is decided anew where a function decides", async () => {
    using origin = serveHttp(() => ok("x"));
    let asked = 0;
    const judge = () => ((asked += 1) < 3 ? { allow: true as const, allowPrivate: true } : { deny: true as const });
    await using proxy = await startProxy({ rules: [judge] });
    using client = await proxy.connect();
    for (const status of [200, 200, 403]) {
      client.write(ask("GET", origin.uri()));
      expect((await takeResponse(client)).head).toStartWith(`HTTP/1.1 ${status} `);
    }
    expect(asked).toBe(3);
  });
});
