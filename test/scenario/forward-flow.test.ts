import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw, type RawPeer } from "../support/raw-peer.ts";

describe("an answer before the request is whole", () => {
  test("reaches the client, and the request goes on to its end", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 10\r\n") + "01234");
    const origin = await server.next();
    await origin.untilText("01234");
    origin.write(ok("early"));
    expect((await takeResponse(client)).body).toBe("early");
    client.write("56789");
    await origin.untilText("0123456789");
    // Both ends are whole. But who answers early may have taken the rest for another request: the next one goes elsewhere.
    await origin.untilEnd();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/next`));
    const fresh = await server.next();
    await fresh.untilText("GET /next");
    fresh.write(ok("next"));
    expect((await takeResponse(client)).body).toBe("next");
  });

  test("ends both connections when the origin hears no more", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 1000000\r\n") + "01234");
    const origin = await server.next();
    await origin.untilText("01234");
    origin.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    origin.finish();
    const { head, body } = await takeResponse(client);
    expect(head).toStartWith("HTTP/1.1 413 ");
    expect(head).toContain("\r\nConnection: close\r\n");
    expect(body).toBe("no");
    await client.untilEnd();
    expect(client.end).toBe("fin");
    expect(await proxy.record()).toMatchObject({ status: 413 });
  });

  test("may go on in both directions at once", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Transfer-Encoding: chunked\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    await client.untilText("\r\n\r\n");
    for (const word of ["one", "two", "six"]) {
      client.write(`3\r\n${word}\r\n`);
      await origin.untilText(`3\r\n${word}\r\n`);
      origin.write(`3\r\n${word}\r\n`);
      await client.untilText(`3\r\n${word}\r\n`);
    }
    client.write("0\r\n\r\n");
    await origin.untilText("\r\n0\r\n\r\n");
    origin.write("0\r\n\r\n");
    await client.untilText("\r\n0\r\n\r\n");
  });
});

describe("bodies of any size", () => {
  const size = 48 * 1024 * 1024;
  const bytes = Buffer.alloc(size, "0123456789abcdef-");
  const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

  test("pass down while the client reads nothing for a while, without filling the memory", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    const received = hashBody(client);
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    client.pause();
    origin.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    origin.write(bytes);
    // The origin comes to a stop: what the kernel and the proxy hold is little.
    expect(await untilStuck(origin)).toBeGreaterThan(size / 4);
    client.resume();
    await client.until(() => received.bytes === size, "the whole body");
    expect(received.digest()).toBe(digest);
  }, 300_000);

  test("pass up while the origin reads nothing for a while, byte for byte", async () => {
    using server = listenRaw((peer) => peer.pause());
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("PUT", `http://127.0.0.1:${server.port}/`, `Content-Length: ${size}\r\n`));
    client.write(bytes);
    const origin = await server.next();
    expect(await untilStuck(client)).toBeGreaterThan(size / 4);
    const received = hashBody(origin);
    origin.resume();
    await origin.until(() => received.bytes === size, "the whole body");
    expect(received.digest()).toBe(digest);
    origin.write(ok("thanks"));
    expect((await takeResponse(client)).body).toBe("thanks");
  }, 300_000);
});

/** Looks on until nothing more is taken of what `writer` has to write, and gives how much is left. */
async function untilStuck(writer: RawPeer): Promise<number> {
  for (let before = -1; ;) {
    const left = writer.unwrittenBytes;
    if (left === before) return left;
    before = left;
    await Bun.sleep(100);
  }
}

/** Hashes the body of the one message that `peer` receives, and keeps nothing of it. */
function hashBody(peer: RawPeer): { readonly bytes: number; digest(): string } {
  const hash = new Bun.CryptoHasher("sha256");
  let head: Uint8Array | undefined = new Uint8Array(0);
  const seen = { bytes: 0, digest: () => hash.digest("hex") };
  peer.consume = (chunk) => {
    let body = chunk;
    if (head !== undefined) {
      const all = Buffer.concat([head, chunk]);
      const end = all.indexOf("\r\n\r\n");
      head = end < 0 ? all : undefined;
      if (end < 0) return;
      body = all.subarray(end + 4);
    }
    hash.update(body);
    seen.bytes += body.length;
  };
  return seen;
}

describe("shutting down", () => {
  test("ends idle connections at once and lets exchanges come to their end", async () => {
    using server = listenRaw();
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy();
    using idle = await proxy.connect();
    idle.write(ask("GET", origin.uri()));
    await takeResponse(idle);
    using busy = await proxy.connect();
    busy.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const slow = await server.next();
    await slow.untilText("\r\n\r\n");
    const drained = proxy.daemon.drain();
    await idle.untilEnd();
    await origin.server.accepted[0]?.untilEnd();
    slow.write(ok("last"));
    await busy.untilEnd();
    expect(busy.text).toContain("\r\nConnection: close\r\n");
    expect(busy.text).toEndWith("\r\n\r\nlast");
    await drained;
  });

  test("at once ends exchanges, too", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    await proxy.daemon.stop();
    await client.untilEnd();
    await origin.untilEnd();
  });
});
