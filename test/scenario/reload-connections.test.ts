import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy, waitFor } from "../support/proxy.ts";

const denyAll = { name: "deny-all", to: ["127.0.0.0/8"], deny: true };

describe("a reload", () => {
  test("leaves kept connections to unchanged upstreams in use, and to no others", async () => {
    using upstream = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    const via = (password: string) => ({
      upstreams: { corp: { url: `http://127.0.0.1:${upstream.port}`, username: "edge", password } },
      rules: [],
      default: "corp",
    });
    const get = async () => {
      using client = await proxy.connect();
      client.write(ask("GET", "http://far.example/"));
      await takeResponse(client);
    };
    await proxy.reload(via("first"));
    await get();
    await proxy.reload({ ...via("first"), timeouts: { idle: "5m" } });
    await get();
    expect(upstream.server.accepted).toHaveLength(1);
    await proxy.reload(via("second"));
    await get();
    expect(upstream.server.accepted).toHaveLength(2);
  });

  test("keeps the name of the proxy in Via, by which it knows a loop", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    const get = async () => {
      client.write(ask("GET", `http://127.0.0.1:${origin.port}/`));
      await takeResponse(client);
    };
    await get();
    await proxy.reload({ timeouts: { idle: "5m" } });
    await get();
    const [first, second] = origin.heads.map((head) => /^Via: .*$/m.exec(head)?.[0]);
    expect(first).toMatch(/^Via: 1\.1 penstock-[0-9a-f]{10}/);
    expect(second).toBe(first);
  });

  test("reaches the first request of a connection that was there before", async () => {
    await using proxy = await startProxy();
    using early = await proxy.connect();
    await waitFor(async () => (await proxy.metrics()).includes("penstock_connections_open 1\n"), "the connection");
    await proxy.reload({ rules: [denyAll] });
    early.write("CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n");
    await early.untilEnd();
    expect(early.text).toStartWith("HTTP/1.1 403 ");
  });

  test("ends a kept connection at its next request when its client may not connect any more", async () => {
    using origin = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("ok") });
    await using proxy = await startProxy();
    using kept = await proxy.connect();
    const get = `GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\n`;
    for (const _ of [1, 2]) {
      kept.write(get);
      await kept.untilText("ok");
      kept.take();
    }
    await proxy.reload({ clients: ["192.0.2.0/24"] });
    kept.write(get);
    await kept.untilEnd();
    expect(kept.text).toStartWith("HTTP/1.1 403 Client address not admitted\r\n");
  });
});
