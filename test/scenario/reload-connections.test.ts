import { describe, expect, test } from "bun:test";
import { startProxy, waitFor } from "../support/proxy.ts";

const denyAll = { name: "deny-all", to: ["127.0.0.0/8"], deny: true };

describe("a reload", () => {
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
