import { describe, expect, test } from "bun:test";
import { startProxy } from "../support/proxy.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { listenRaw } from "../support/raw-peer.ts";

describe("the body of a forwarded request", () => {
  test("of some length arrives as it is, in as many parts as it came", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 10\r\n") + "01234");
    const origin = await server.next();
    await origin.untilText("\r\n\r\n01234");
    client.write("56789");
    await origin.untilText("\r\n\r\n0123456789");
    origin.write(ok("got it"));
    expect((await takeResponse(client)).body).toBe("got it");
  });

  test("in chunks stays in chunks, without extensions and without trailers that may not be", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"));
    client.write("5;a=b\r\nhello\r\n");
    const origin = await server.next();
    await origin.untilText("5\r\nhello\r\n");
    client.write("0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n");
    await origin.untilText("0\r\nX-Sum: 1\r\n\r\n");
    expect(origin.text).toContain("\r\nTransfer-Encoding: chunked\r\n");
    expect(origin.text).toContain("\r\nTrailer: X-Sum\r\n");
    expect(origin.text).not.toContain("a=b");
    expect(origin.text).not.toContain("Content-Length");
    origin.write(ok(""));
    await takeResponse(client);
  });

  test("waits for 100 (Continue) end to end", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("PUT", `http://127.0.0.1:${server.port}/`, "Expect: 100-continue\r\nContent-Length: 4\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    expect(origin.text).toContain("\r\nExpect: 100-continue\r\n");
    origin.write("HTTP/1.1 100 Continue\r\n\r\n");
    await client.untilText("HTTP/1.1 100 Continue\r\n");
    client.take();
    client.write("body");
    await origin.untilText("\r\n\r\nbody");
    origin.write(ok("done"));
    expect((await takeResponse(client)).body).toBe("done");
  });

  test("need not be sent when the origin says no to the expectation", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("PUT", `http://127.0.0.1:${server.port}/`, "Expect: 100-continue\r\nContent-Length: 4\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    const { head } = await takeResponse(client);
    expect(head).toStartWith("HTTP/1.1 417 ");
    expect(head).toContain("\r\nConnection: close\r\n");
    await client.untilEnd();
  });

  test("of an HTTP/1.0 client is not expected anything of", async () => {
    using origin = serveHttp(() => ok(""));
    await using proxy = await startProxy();
    await proxy.exchange(ask("PUT", origin.uri(), "Expect: 100-continue\r\nContent-Length: 0\r\n", "1.0"));
    expect(origin.heads[0]).not.toContain("Expect");
  });

  test("that is malformed ends the request at the origin, and is told the client", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Transfer-Encoding: chunked\r\n"));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    client.write("5\r\nhello\r\nx\r\n");
    await client.untilEnd();
    expect(client.text).toStartWith("HTTP/1.1 400 ");
    expect(client.text).toContain("bad_chunk_size");
    await origin.untilEnd();
    expect(origin.end).toBe("reset");
    expect(origin.text).not.toContain("\r\n0\r\n");
  });

  test("that ends before its end never looks whole", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(ask("POST", `http://127.0.0.1:${server.port}/`, "Content-Length: 10\r\n") + "01234");
    const origin = await server.next();
    await origin.untilText("01234");
    client.finish();
    await origin.untilEnd();
    expect(origin.end).toBe("reset");
    await client.untilEnd();
    expect(client.text).toStartWith("HTTP/1.1 400 ");
  });
});
