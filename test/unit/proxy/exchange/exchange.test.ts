import { describe, expect, test } from "bun:test";
import { Exchange, type ExchangeOptions } from "../../../../src/proxy/exchange/exchange.ts";
import { NO_FIELDS } from "../../../../src/protocol/http1/fields.ts";
import { ForwardedHead } from "../../../../src/proxy/exchange/head-to-write.ts";
import { Forwarding } from "../../../../src/proxy/exchange/forwarding.ts";
import { readForwardRequest } from "../../../../src/proxy/read/forward-request.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";
import { parseRequestHead } from "../../../support/parse-head.ts";

const LIMITS = { maxBytes: 8192, maxFields: 100 };

/** Nothing is limited. */
const UNLIMITED = { enter: () => undefined, follow: () => undefined };

function begin(
  options: Partial<ExchangeOptions> = {},
  head = "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
) {
  const parsed = parseRequestHead(Buffer.from(head, "latin1"), LIMITS);
  const request = parsed.kind === "done" ? readForwardRequest(parsed.value) : undefined;
  if (request?.ok !== true) throw new Error("The request of the test is wrong");
  const client = new MemoryConn();
  const origin = new MemoryConn();
  const exchange = new Exchange(client, { forwarding: new Forwarding(), draining: false, bandwidths: UNLIMITED });
  const done = exchange.carry(origin, {
    record: makeRequestRecord({ stageSince: performance.now() }),
    request: request.value,
    outgoing: new ForwardedHead("GET / HTTP/1.1\r\n\r\n", NO_FIELDS, ""),
    via: "us",
    asksUpstream: false,
    keepsRequest: false,
    responseMs: 0,
    idleMs: 0,
    waitedMs: 0,
    isClientDone: false,
    ...options,
  });
  return { client, origin, exchange, done };
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

describe("an exchange", () => {
  test("takes from the time for the response what other tries have used up", async () => {
    const { exchange, done } = begin({ responseMs: 60_000, waitedMs: 60_000 });
    expect(await done).toEqual({ kind: "failed", failure: { detail: "response_timeout" } });
    expect(exchange.waitedMs).toBeGreaterThanOrEqual(60_000);
  });

  test("gives a client that reads slowly all the time for a response that came in time", async () => {
    const { client, origin, done } = begin({ responseMs: 50 });
    client.room = 10;
    origin.say(OK);
    // Many looks of those that watch over the time.
    await Bun.sleep(400);
    client.drain();
    expect(await done).toMatchObject({ kind: "done", keepsClient: true });
    expect(client.text).toEndWith("\r\n\r\nok");
  });

  test("is no success when the client is closed for writing", async () => {
    const { client, origin, done } = begin();
    client.state = "fin";
    origin.say(OK);
    client.vanish();
    expect(await done).toEqual({ kind: "broken", failure: { detail: "client_gone" } });
  });

  test.each([
    ["whole, as long as its body is short", 64 * 1024, true],
    ["not whole, when its body is longer than what is kept", 64 * 1024 + 1, false],
  ])("gives a request back %s", async (_what, length, whole) => {
    const head = `PUT http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${length}\r\n\r\n`;
    const { client, origin, done } = begin({ keepsRequest: true }, head);
    client.say("b".repeat(length - 1));
    client.say("b");
    origin.vanish();
    expect(await done).toEqual({ kind: "stale", reset: true, whole });
    expect(client.unreadBytes).toBe(whole ? length : 0);
    let again = "";
    client.attach({
      data: (chunk) => void (again += Buffer.from(chunk).toString("latin1")),
      end: () => {},
      drain: () => {},
      close: () => {},
    });
    expect(again).toBe(whole ? "b".repeat(length) : "");
  });

  test("remembers that the client sent FIN, for another try", async () => {
    const { client, origin, exchange, done } = begin({ keepsRequest: true });
    client.finish();
    origin.vanish();
    expect(await done).toMatchObject({ kind: "stale" });
    expect(exchange.isClientDone).toBe(true);
    const again = begin({ isClientDone: exchange.isClientDone });
    again.origin.say(OK);
    expect(await again.done).toMatchObject({ kind: "done", keepsClient: false });
  });
});
