import { describe, expect, test } from "bun:test";
import { ask, ok, takeResponse } from "../support/http-origin.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";

const UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n";
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";

describe("a request to switch protocols", () => {
  test("becomes a tunnel once the origin has switched, with not a byte lost", async () => {
    using server = listenRaw();
    await using proxy = await startProxy({ forward: { via: "here" } });
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/chat`, UPGRADE));
    // A hasty client: what it says waits until the origin has switched.
    client.write("first from the client");
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    expect(origin.take().toString()).toBe(
      `GET /chat HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nSec-WebSocket-Key: abc\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nVia: 1.1 here\r\n\r\n`,
    );
    origin.write(`${SWITCH}\r\nfirst from the origin`);
    await client.untilText("first from the origin");
    expect(client.text).toStartWith("HTTP/1.1 101 Switching Protocols\r\n");
    expect(client.text).toContain("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
    await origin.untilText("first from the client");
    expect(origin.text).toBe("first from the client");
    client.write(" and more");
    await origin.untilText(" and more");
    client.finish();
    await origin.untilEnd();
    origin.write("goodbye");
    origin.finish();
    await client.untilText("goodbye");
    await client.untilEnd();
    expect(await proxy.record()).toMatchObject({ status: 101, stage: "tunnel", end: "closed", scheme: "http" });
  });

  test("goes on as HTTP when the origin does not switch", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`, UPGRADE));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write("HTTP/1.1 426 Upgrade Required\r\nUpgrade: other\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n");
    const { head } = await takeResponse(client);
    expect(head).toContain("\r\nConnection: Upgrade\r\nUpgrade: other\r\n");
    client.write(ask("GET", `http://127.0.0.1:${server.port}/next`));
    await origin.untilText("/next");
    origin.write(ok("next"));
    expect((await takeResponse(client)).body).toBe("next");
  });

  test("is none when Connection does not name it, when it has a body, or when it is HTTP/1.0", async () => {
    using server = listenRaw();
    await using proxy = await startProxy({ forward: { originIdle: "0" } });
    for (const [fields, version, body] of [
      ["Upgrade: websocket\r\n", "1.1", ""],
      [UPGRADE, "1.0", ""],
      [`${UPGRADE}Content-Length: 1\r\n`, "1.1", "x"],
    ] as const) {
      using client = await proxy.connect();
      client.write(ask("GET", `http://127.0.0.1:${server.port}/`, fields, version) + body);
      const origin = await server.next();
      await origin.untilText("\r\n\r\n");
      expect(origin.text).not.toContain("Upgrade");
      origin.write(`${SWITCH}\r\n`);
      await client.untilText("nobody asked");
      expect(client.text).toStartWith("HTTP/1.1 502 ");
    }
  });

  // Inside of them a client would ask for hosts that no rule has judged.
  test.each(["h2c", "H2C", "h2c-14", "HTTP/2.0", "TLS/1.0", '"h2c"', "h2c, tls/1.2"])(
    "is not passed on for %s, and neither is a 101",
    async (protocol) => {
      using server = listenRaw();
      await using proxy = await startProxy({ forward: { via: "here" } });
      using client = await proxy.connect();
      // Without a nomination, too.
      for (const options of ["Upgrade, HTTP2-Settings", "Upgrade"]) {
        const fields = `Connection: ${options}\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABkAAQ\r\n`;
        client.write(ask("GET", `http://127.0.0.1:${server.port}/`, fields));
        const origin = server.accepted[0] ?? (await server.next());
        await origin.untilText("\r\n\r\n");
        expect(origin.take().toString()).toBe(
          `GET / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nVia: 1.1 here\r\n\r\n`,
        );
        if (options === "Upgrade") origin.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n");
        else origin.write(ok("h1"));
        const { head } = await takeResponse(client);
        expect(head).toStartWith(options === "Upgrade" ? "HTTP/1.1 502 " : "HTTP/1.1 200 ");
      }
    },
  );

  test("is passed on for those of its protocols in which nobody asks for another host", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    const fields = "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\nUpgrade: irc/6.9, tls/1.3\r\n";
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`, fields));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    expect(origin.text).toContain("\r\nConnection: Upgrade\r\nUpgrade: websocket, irc/6.9\r\n");
    origin.write(ok("no"));
    await takeResponse(client);
  });
});
