import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";

describe("the connection of a client", () => {
  test("is kept for one request after the other, to one origin and another", async () => {
    using first = serveHttp(() => ok("first"));
    using second = serveHttp(() => ok("second"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    for (const [origin, body] of [
      [first, "first"],
      [second, "second"],
      [first, "first"],
    ] as const) {
      client.write(ask("GET", origin.uri()));
      const response = await takeResponse(client);
      expect(response.body).toBe(body);
      expect(response.head).not.toContain("Connection:");
    }
    expect(first.server.accepted).toHaveLength(1);
  });

  test("answers pipelined requests in order, however long the first one takes", async () => {
    using slow = listenRaw();
    using fast = serveHttp(({ head }) => ok(head.split(" ")[1] ?? ""));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(
      ask("POST", `http://127.0.0.1:${slow.port}/0`, "Content-Length: 4\r\n") +
        "body" +
        ask("GET", fast.uri("/1")) +
        ask("GET", fast.uri("/2")) +
        ask("POST", fast.uri("/3"), "Transfer-Encoding: chunked\r\n") +
        "0\r\n\r\n" +
        ask("GET", fast.uri("/4")),
    );
    const origin = await slow.next();
    await origin.untilText("body");
    expect(origin.text).toEndWith("\r\n\r\nbody");
    expect(fast.heads).toHaveLength(0);
    origin.write(ok("/0"));
    for (const path of ["/0", "/1", "/2", "/3", "/4"]) expect((await takeResponse(client)).body).toBe(path);
  });

  test("ends after a response when the client says so, or speaks HTTP/1.0", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    for (const request of [
      ask("GET", origin.uri(), "Connection: close\r\n"),
      ask("GET", origin.uri(), "", "1.0"),
      ask("GET", origin.uri(), "Connection: keep-alive\r\n", "1.0"),
    ]) {
      const answer = await proxy.exchange(request);
      expect(answer).toContain("\r\nConnection: close\r\n");
      expect(answer).toEndWith("\r\n\r\nx");
    }
  });

  test("ends when nothing comes for a while after a response", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ forward: { clientIdle: "200ms" } });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await takeResponse(client);
    await client.untilEnd();
    expect(client.end).toBe("fin");
    expect(client.text).toBe("");
    expect(proxy.records).toHaveLength(1);
    expect(await proxy.metrics()).toContain("penstock_connections_open 0\n");
  });

  test("is not kept at all when it is not to be", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ forward: { clientIdle: "0" } });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await client.untilEnd();
    expect(client.text).toEndWith("\r\n\r\nx");
  });

  test("takes a CONNECT after requests that were forwarded", async () => {
    using origin = serveHttp(() => ok("x"));
    using echo = listenEcho();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await takeResponse(client);
    client.write(`CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\nearly`);
    await client.untilText("\r\n\r\nearly");
    expect(client.text).toStartWith("HTTP/1.1 200 Connection Established\r\n");
    client.finish();
    await client.untilEnd();
    await proxy.record(1);
    expect(proxy.records.map((record) => [record["method"], record["stage"]])).toEqual([
      ["GET", "forward"],
      ["CONNECT", "tunnel"],
    ]);
  });

  test("may be half closed: the answer still comes", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    client.finish();
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write(ok("late"));
    await client.untilEnd();
    expect(client.text).toEndWith("\r\n\r\nlate");
  });

  test("that is gone ends the exchange at the origin while the response comes", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    await client.untilText("\r\n\r\n");
    client.reset();
    await origin.untilEnd();
    expect(origin.end).toBe("reset");
    expect(await proxy.record()).toMatchObject({ detail: "client_gone", status: 200 });
  });

  test("that is gone, with a mere FIN and before any answer, is found out", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    // Both ways at once, as programs close.
    client.socket.end();
    await origin.untilEnd();
    expect(origin.end).toBe("reset");
    expect(await proxy.record()).toMatchObject({ detail: "client_gone" });
  });

  test("counts once, whatever number of requests comes over it", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    for (let round = 0; round < 3; round += 1) {
      client.write(ask("GET", origin.uri()));
      await takeResponse(client);
    }
    await proxy.record(2);
    const metrics = await proxy.metrics();
    expect(metrics).toMatch(/^penstock_connections_total\{listener="[^"]+"\} 1$/m);
    expect(metrics).toContain("penstock_connections_open 1\n");
    expect(metrics).toContain("penstock_requests_total 3\n");
    const ids = proxy.records.map((record) => record["id"]);
    expect(new Set(ids).size).toBe(3);
  });

  test("holds one place among the user's, and leaves it", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({
      users: [{ name: "ann", password: "secret" }],
      limits: { perUser: { connections: 1 } },
    });
    const fields = `Proxy-Authorization: Basic ${Buffer.from("ann:secret").toString("base64")}\r\n`;
    using client = await proxy.connect();
    for (let round = 0; round < 2; round += 1) {
      client.write(ask("GET", origin.uri(), fields));
      expect((await takeResponse(client)).head).toStartWith("HTTP/1.1 200 ");
    }
    const other = await proxy.exchange(ask("GET", origin.uri(), `${fields}Connection: close\r\n`));
    expect(other).toStartWith("HTTP/1.1 429 ");
    client.finish();
    await client.untilEnd();
    while (!(await proxy.metrics()).includes("penstock_connections_open 0\n")) await Bun.sleep(5);
    const again = await proxy.exchange(ask("GET", origin.uri(), `${fields}Connection: close\r\n`));
    expect(again).toStartWith("HTTP/1.1 200 ");
  });
});
