import { describe, expect, test } from "bun:test";
import { exchange, type ExchangeOrder, postJson } from "../../src/net/http/exchange.ts";
import { fetchText } from "../../src/net/http/fetch-text.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

function ask(port: number, more: Partial<ExchangeOrder> = {}) {
  return exchange({
    method: "GET",
    url: `http://127.0.0.1:${port}/x`,
    headers: {},
    maxBytes: 1024,
    ms: 20_000,
    ...more,
  });
}

/** What becomes of an answer with these bytes, after which the server closes. */
async function answerWith(bytes: string, more: Partial<ExchangeOrder> = {}) {
  using server = listenRaw();
  const asked = ask(server.port, more);
  const peer = await server.next();
  await peer.untilText("\r\n\r\n");
  peer.write(bytes);
  peer.finish();
  return await asked;
}

describe("exchange()", () => {
  test("gives status, fields and body of an answer, and follows no redirect", async () => {
    const answer = await answerWith(
      "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 2\r\n\r\nhi",
    );
    expect(answer).toMatchObject({ kind: "answered", status: 302, body: Buffer.from("hi") });
    expect(answer.kind === "answered" && answer.header("location")).toBe("http://127.0.0.1:9/");
  });

  test("reads no more than it was told to, and says when the end is missing", async () => {
    const long = `HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n${"x".repeat(4096)}`;
    expect(await answerWith(long)).toMatchObject({
      kind: "failed",
      fault: "too long",
      why: "answered with more than 1 KiB",
    });
    const cut = await answerWith("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    expect(cut.kind).toBe("failed");
  });

  test("waits as long as it was told to, also for the rest of an answer", async () => {
    using server = listenRaw();
    const asked = ask(server.port, { ms: 300 });
    const peer = await server.next();
    await peer.untilText("\r\n\r\n");
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    expect(await asked).toMatchObject({ kind: "failed", fault: "late", why: "did not answer within 0.3 s" });
  });

  test("is given up when that is asked for, and says when nobody is there", async () => {
    using server = listenRaw();
    const ending = new AbortController();
    const asked = ask(server.port, { signal: ending.signal });
    await server.next();
    ending.abort();
    expect(await asked).toMatchObject({ kind: "failed", fault: "given up", why: "was given up" });
    expect(await ask(await reserveClosedPort())).toMatchObject({
      kind: "failed",
      fault: "away",
      why: "cannot be reached: ECONNREFUSED",
    });
  });

  test("reads no body that the order does not want", async () => {
    using server = listenRaw();
    const asked = ask(server.port, { wants: (status) => status === 200 });
    const peer = await server.next();
    await peer.untilText("\r\n\r\n");
    peer.write("HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nabc");
    expect(await asked).toMatchObject({ kind: "answered", status: 404, body: Buffer.alloc(0) });
  });
});

describe("postJson()", () => {
  test("says what it sends, and cuts a long answer", async () => {
    using server = listenRaw();
    const asked = postJson({
      url: `http://127.0.0.1:${server.port}/x`,
      body: '{"a":1}',
      headers: { "X-Key": "k" },
      ca: undefined,
      ms: 20_000,
    });
    const peer = await server.next();
    await peer.untilText('{"a":1}');
    for (const line of ["POST /x HTTP/1.1", "Content-Type: application/json", "Content-Length: 7", "X-Key: k"])
      expect(peer.text).toContain(`${line}\r\n`);
    peer.write(`HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n${"x".repeat(70_000)}`);
    const answer = await asked;
    expect(answer.kind).toBe("answered");
    expect(answer.kind === "answered" && answer.body.length).toBeLessThanOrEqual(65_536);
  });
});

describe("informational responses", () => {
  const hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
  const final = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
  const ways = {
    exchange: (port: number) => ask(port),
    fetchText: (port: number) => fetchText({ url: `http://127.0.0.1:${port}/`, maxBytes: 1024, ms: 20_000 }),
    postJson: (port: number) => postJson({ url: `http://127.0.0.1:${port}/`, body: "{}", headers: {}, ms: 20_000 }),
  };

  test.each(Object.entries(ways))("are passed over by %s as long as they are few", async (_, send) => {
    using server = listenRaw();
    const asked = send(server.port);
    const peer = await server.next();
    await peer.untilText("\r\n\r\n");
    peer.write(hints.repeat(8) + final);
    expect((await asked).kind).not.toBe("failed");
  });

  // Each is an event, and they came faster than they were taken: the proxy did nothing else.
  test.each(Object.entries(ways))("without an end are not waited for by %s", async (_, send) => {
    using server = listenRaw();
    const asked = send(server.port);
    const peer = await server.next();
    await peer.untilText("\r\n\r\n");
    peer.write(hints.repeat(1000));
    expect(await asked).toMatchObject({
      kind: "failed",
      why: "sends informational responses without end",
    });
    await peer.untilEnd();
  });
});
