import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy } from "../support/proxy.ts";

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
});
