import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { exchange } from "../support/forwarded-exchange.ts";
import { startProxy } from "../support/proxy.ts";

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

describe("a forwarded response", () => {
  test("is read whole when its head comes in pieces", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    for (const piece of ["HTTP/1.1 200 Fi", "ne\r\nX-One: 1\r\nX-T", "wo: 2\r\nContent-Length: 5\r\n", "\r\nhello"]) {
      pair.origin.write(piece);
      // Each is to come alone.
      await Bun.sleep(5);
    }
    await pair.client.untilText("hello");
    expect(pair.client.text).toStartWith("HTTP/1.1 200 Fine\r\nX-One: 1\r\nX-Two: 2\r\n");
  });

  test("in chunks stays in chunks, trailers included, extensions left out", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write(`${CHUNKED}5;x=y\r\nhello\r\n`);
    await pair.client.untilText("5\r\nhello\r\n");
    pair.origin.write("0\r\nX-Sum: 1\r\nSet-Cookie: no\r\n\r\n");
    await pair.client.untilText("\r\n0\r\nX-Sum: 1\r\n\r\n");
    expect(pair.client.text).toContain("\r\nTransfer-Encoding: chunked\r\n");
    expect(pair.client.text).not.toContain("x=y");
    expect(pair.client.text).not.toContain("Set-Cookie");
  });

  test("in chunks is mere data for an HTTP/1.0 client, and ends with its connection", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy, "GET", "Connection: keep-alive\r\n", "1.0");
    pair.origin.write(`${CHUNKED}5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n`);
    await pair.client.untilEnd();
    expect(pair.client.end).toBe("fin");
    expect(pair.client.text).toEndWith("\r\n\r\nhello world");
    expect(pair.client.text).toContain("\r\nConnection: close\r\n");
    expect(pair.client.text).not.toContain("Transfer-Encoding");
  });

  test("of an HTTP/1.0 origin ends when it closes", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall ");
    await pair.client.untilText("all ");
    pair.origin.write("there is");
    pair.origin.finish();
    await pair.client.untilEnd();
    expect(pair.client.end).toBe("fin");
    expect(pair.client.text).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(pair.client.text).toMatch(/\r\nVia: 1\.0 \S+\r\n/);
    expect(pair.client.text).toEndWith("\r\n\r\nall there is");
  });

  test("without a Date gets one, and one with a Date keeps it", async () => {
    await using proxy = await startProxy();
    using origin = serveHttp(({ head }) => ok("", head.startsWith("GET /dated") ? "Date: yesterday\r\n" : ""));
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri("/dated")));
    expect((await takeResponse(client)).head).toContain("\r\nDate: yesterday\r\n");
    client.write(ask("GET", origin.uri("/")));
    const [, date = ""] = /\r\nDate: (.*)\r\n/.exec((await takeResponse(client)).head) ?? [];
    expect(new Date(date).toUTCString()).toBe(date);
  });

  test.each([
    ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "Content-Length: 10"],
    ["HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding: chunked"],
    ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "Content-Length: 10"],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 No Content"],
  ])("to %s that has no body ends with its head: %j", async (method, response, wanted) => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy, method);
    pair.origin.write(response);
    await pair.client.untilText("\r\n\r\n");
    expect(pair.client.text).toContain(wanted);
    // The next one is not taken for a body.
    pair.client.take();
    pair.client.write(ask("GET", `http://127.0.0.1:${pair.origin.socket.localPort}/next`));
    await pair.origin.untilText("/next");
    pair.origin.write(ok("next"));
    expect((await takeResponse(pair.client)).body).toBe("next");
  });

  test("with a length where there can be none loses it", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
    await pair.client.untilText("\r\n\r\n");
    expect(pair.client.text).not.toContain("Content-Length");
  });

  test("comes after all informational ones", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n");
    await pair.client.untilText("102 Processing\r\n");
    expect(pair.client.text).toContain("103 Early Hints\r\nLink: </a>\r\n");
    pair.client.take();
    pair.origin.write(`HTTP/1.1 103 Early Hints\r\n\r\n${ok("final")}`);
    await pair.client.untilText("final");
    expect(pair.client.text).toStartWith("HTTP/1.1 103 ");
  });

  test("is the first thing that an HTTP/1.0 client hears", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy, "GET", "", "1.0");
    pair.origin.write(`HTTP/1.1 103 Early Hints\r\n\r\n${ok("final")}`);
    await pair.client.untilEnd();
    expect(pair.client.text).toStartWith("HTTP/1.1 200 ");
    expect(pair.client.text).toEndWith("final");
  });

  test("may come byte by byte", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    for (const byte of `${CHUNKED}5\r\nhello\r\n0\r\n\r\n`) {
      pair.origin.write(byte);
      await Bun.sleep(0);
    }
    await pair.client.untilText("\r\n0\r\n\r\n");
    expect(pair.client.text.split("\r\n\r\n")[1]?.replaceAll(/[\r\n]/g, "")).toBe("5hello0");
  });

  test("goes on to the client as it comes, however slowly", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
    await pair.client.untilText("data: 1\n\n");
    pair.origin.write("data: 2\n\n");
    await pair.client.untilText("data: 2\n\n");
  });
});

describe("a response that is not whole", () => {
  test.each([
    ["of some length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", "fin"],
    ["in chunks", `${CHUNKED}5\r\nhello\r\n`, "fin"],
    ["in chunks, within one", `${CHUNKED}5\r\nhe`, "fin"],
    ["in chunks, before the trailers end", `${CHUNKED}5\r\nhello\r\n0\r\n`, "fin"],
  ] as const)("%s never looks whole", async (_name, part, end) => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write(part);
    await pair.client.untilText("\r\n\r\n");
    pair.origin.finish();
    await pair.client.untilEnd();
    expect(pair.client.end).toBe(end);
    expect(pair.client.text).not.toContain("\r\n0\r\n\r\n");
    expect(await proxy.record()).toMatchObject({ status: 200, detail: "response_incomplete" });
  });

  test("and would end with the connection is reset", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write("HTTP/1.1 200 OK\r\n\r\nhalf");
    await pair.client.untilText("half");
    pair.origin.reset();
    await pair.client.untilEnd();
    expect(pair.client.end).toBe("reset");
  });

  test("and is decoded for an HTTP/1.0 client is reset, too", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy, "GET", "", "1.0");
    pair.origin.write(`${CHUNKED}5\r\nhello\r\n`);
    await pair.client.untilText("hello");
    pair.origin.finish();
    await pair.client.untilEnd();
    expect(pair.client.end).toBe("reset");
  });

  test("because a chunk is malformed ends there", async () => {
    await using proxy = await startProxy();
    using pair = await exchange(proxy);
    pair.origin.write(`${CHUNKED}5\r\nhello\r\n`);
    await pair.client.untilText("hello\r\n");
    pair.origin.write("zz\r\n0\r\n\r\n");
    await pair.client.untilEnd();
    expect(pair.client.text).toEndWith("5\r\nhello\r\n");
    expect(await proxy.record()).toMatchObject({ detail: "bad_response" });
  });
});
