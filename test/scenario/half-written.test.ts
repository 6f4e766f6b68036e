import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenRaw, type RawPeer } from "../support/raw-peer.ts";

/** A head of nearly 64 KiB. */
const HINTS = `HTTP/1.1 103 Early Hints\r\nLink: ${"a".repeat(64_000)}\r\n\r\n`;

/** Has the origin send interim responses until nobody takes them any more. */
async function fillWithHints(origin: RawPeer): Promise<void> {
  await origin.untilText("\r\n\r\n");
  for (let count = 0; count < 250 && origin.unwrittenBytes === 0; count += 1) {
    origin.write(HINTS);
    await Bun.sleep(2);
  }
  expect(origin.unwrittenBytes).toBeGreaterThan(0);
}

/** What may be left behind whole interim responses of a connection that ended. */
const CUT = /^(?:HTTP\/1\.1 103 Early Hints\r\nLink: a*)?$/;

/** Everything but what `text` begins with, in whole interim responses. */
function skipHints(text: string): string {
  let rest = text;
  while (rest.startsWith(HINTS.slice(0, 40)) && rest.includes("\r\n\r\n"))
    rest = rest.slice(rest.indexOf("\r\n\r\n") + 4);
  return rest;
}

describe("a client that is owed a part of an interim response", () => {
  test("gets no other message behind it when the origin resets", async () => {
    using server = listenRaw();
    using good = serveHttp(() => ok("of another"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.pause();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await fillWithHints(origin);
    origin.reset();
    client.write(ask("GET", good.uri()));
    await proxy.record();
    client.resume();
    await client.untilEnd();
    expect(skipHints(client.text)).toMatch(CUT);
    expect(good.heads).toEqual([]);
  });

  test("gets the rest of it, and then what happened, when the origin ends", async () => {
    using server = listenRaw();
    using good = serveHttp(() => ok("of another"));
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.pause();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await fillWithHints(origin);
    origin.finish();
    client.resume();
    await client.untilText("HTTP/1.1 502 ");
    client.write(ask("GET", good.uri()));
    await client.untilText("of another");
    expect(skipHints(client.text)).toMatch(/^HTTP\/1\.1 502 [^]*HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nof another$/);
  });

  test("gets no second try behind it", async () => {
    using server = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    const request = ask("GET", `http://127.0.0.1:${server.port}/`);
    client.write(request);
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.take();
    origin.write(ok("first"));
    await takeResponse(client);
    client.pause();
    client.write(request);
    await fillWithHints(origin);
    origin.reset();
    await proxy.record(1);
    client.resume();
    await client.untilEnd();
    expect(skipHints(client.text)).toMatch(CUT);
    expect(server.accepted).toHaveLength(1);
  });
});

/** The statuses of responses that all have a length, as a strict reader finds them. */
function readStatuses(text: string): { readonly statuses: string[]; readonly rest: string } {
  const statuses: string[] = [];
  const head =
    /HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n(?:[!-9;-~]+: [^\r\n]*\r\n)*?Content-Length: (\d+)\r\n(?:[!-9;-~]+: [^\r\n]*\r\n)*\r\n/y;
  for (let at = 0; ;) {
    head.lastIndex = at;
    const found = head.exec(text);
    const end = head.lastIndex + Number(found?.[2]);
    if (found === null || end > text.length) return { statuses, rest: text.slice(at) };
    statuses.push(found[1] as string);
    at = end;
  }
}

describe("a client that does not read its answers", () => {
  const COUNT = 20_000;

  /** How many requests were carried out once nothing more happens. */
  async function countRecords({ records }: TestProxy): Promise<number> {
    for (let before = -1; ;) {
      if (records.length === before) return before;
      before = records.length;
      await Bun.sleep(200);
    }
  }

  test.each([
    ["refusals", ask("GET", "http://192.0.2.1/"), "403"],
    [
      "answers of the proxy's own",
      ask("TRACE", "http://127.0.0.1:9/", `Max-Forwards: 0\r\nX: ${"x".repeat(300)}\r\n`),
      "200",
    ],
  ])(
    "is read no further, and gets all of its %s later",
    async (_what, request, status) => {
      using origin = serveHttp(() => ok("the last one"));
      await using proxy = await startProxy({ default: "deny" });
      using client = await proxy.connect();
      client.pause();
      client.write(request.repeat(COUNT) + ask("GET", origin.uri()));
      const carriedOut = await countRecords(proxy);
      expect(carriedOut).toBeGreaterThan(100);
      expect(carriedOut).toBeLessThan(COUNT);
      client.resume();
      await waitFor(() => proxy.records.length === COUNT + 1, "all requests to be carried out");
      await client.until((peer) => peer.received.subarray(-12).toString("latin1") === "the last one");
      expect(readStatuses(client.text)).toEqual({
        statuses: [...Array.from({ length: COUNT }, () => status), "200"],
        rest: "",
      });
    },
    300_000,
  );
});
