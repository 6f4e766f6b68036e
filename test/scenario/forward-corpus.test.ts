import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createChunkedDecoder } from "../../src/protocol/http1/chunked-decoder.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  DATE,
  EXPECT,
  HOST,
  TRANSFER_ENCODING,
  VIA,
} from "../../src/protocol/http1/field-names.ts";
import type { Fields } from "../../src/protocol/http1/fields.ts";
import { stripHopByHop } from "../../src/protocol/http1/hop-by-hop.ts";
import { canonicaliseLength, frameResponse } from "../../src/protocol/http1/message-framing.ts";
import { readForwardRequest } from "../../src/proxy/read/forward-request.ts";
import { chunkedBodies } from "../fixtures/http1/chunked-bodies.ts";
import { requestFramings } from "../fixtures/http1/request-framings.ts";
import { requestHeads } from "../fixtures/http1/request-heads.ts";
import { responseHeads } from "../fixtures/http1/response-heads.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { listenRaw, type RawPeer, type RawServer } from "../support/raw-peer.ts";
import { parseRequestHead, parseResponseHead } from "../support/parse-head.ts";

/** The corpus of the parsers, through the real proxy: what goes on re-parses to what came, less what must go. */
const wide = { maxBytes: 1024 * 1024, maxFields: 1000 };

let proxy: TestProxy;
let server: RawServer;

beforeAll(async () => {
  proxy = await startProxy(
    {
      listen: [{ port: 0, protocols: ["http"] }],
      limits: { headBytes: "1KiB", headFields: 16 },
      forward: { via: "here", originIdle: "0" },
    },
    { resolver: createFakeResolver({}) },
  );
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
});

/** Runs `body` with a client of the proxy and a fresh server for the origin. */
async function withEnds(body: (client: RawPeer, port: number) => Promise<void>): Promise<void> {
  server = listenRaw();
  using _ = server;
  using client = await proxy.connect();
  await body(client, server.port);
}

function readRequest(text: string) {
  return parseRequestHead(Buffer.from(text, "latin1"), { maxBytes: 1024, maxFields: 16 });
}

function strip(fields: Fields): Fields {
  const stripped = stripHopByHop(fields);
  if (stripped.kind === "bad") throw new Error(stripped.code);
  return stripped.fields;
}

function withoutFields(fields: Fields, ...ids: readonly number[]): Fields {
  return fields.select((id) => !ids.includes(id));
}

/** Field lines as they are compared: the order stays, names keep their spelling. */
function list(fields: Fields): string[] {
  return Array.from(fields, ({ name, value }) => `${name}: ${value}`);
}

/** A 4xx; or what SOCKS clients hear at a door that is not theirs; or nothing, where there was no request. */
function isRefusal(answer: string): boolean {
  return /^HTTP\/1\.1 (?:400|431|505) /.test(answer) || ["\x05\xff", "\0[\0\0\0\0\0\0", ""].includes(answer);
}

/** The vectors ask a server; here they ask the proxy for that server. */
function makeAbsolute(input: string, port: number): string {
  return input.replace(/^((?:\r\n)?[!-~]+ )\//, `$1http://127.0.0.1:${port}/`);
}

describe("a request of the corpus", () => {
  test.each([...requestHeads, ...requestFramings].map(({ name, input }) => [name, input] as const))(
    "with %s",
    async (_name, input) => {
      await withEnds(async (client, port) => {
        const text = makeAbsolute(input, port);
        const parsed = readRequest(text);
        if (parsed.kind === "done" && parsed.value.method === "CONNECT") return;
        client.write(text);
        const request = parsed.kind === "done" ? readForwardRequest(parsed.value) : undefined;
        if (request?.ok !== true) {
          // Nothing ambiguous is ever forwarded.
          client.finish();
          await client.untilEnd();
          expect([client.text, isRefusal(client.text)]).toEqual([client.text, true]);
          expect(server.accepted).toHaveLength(0);
          return;
        }
        const { head, framing, target } = request.value;
        if (target.port !== port) {
          // Its own target, which does not resolve.
          await client.untilText("HTTP/1.1 502 ");
          return;
        }
        const origin = await server.next();
        const length = framing.kind === "length" ? Math.min(framing.length, 64) : 0;
        client.write(framing.kind === "chunked" ? "3\r\nabc\r\n0\r\n\r\n" : "x".repeat(length));
        await origin.untilText("\r\n\r\n");
        const received = parseRequestHead(origin.received, wide);
        if (received.kind !== "done") throw new Error(`The origin cannot read ${JSON.stringify(origin.text)}`);
        expect(received.value.method).toBe(head.method);
        expect(received.value.target).toBe(request.value.path);
        const own = framing.kind === "chunked" ? ["Transfer-Encoding: chunked"] : [];
        const old = head.version === "1.0" ? [HOST, EXPECT] : [HOST];
        expect(list(received.value.fields)).toEqual([
          `Host: 127.0.0.1:${port}`,
          ...list(withoutFields(canonicaliseLength(strip(head.fields)), ...old)),
          ...own,
          "Connection: close",
          `Via: ${head.version} here`,
        ]);
        if (framing.kind === "chunked") await origin.untilText("3\r\nabc\r\n0\r\n\r\n");
        else await origin.until((peer) => peer.receivedBytes === received.used + length, `${length} bytes`);
      });
    },
  );
});

describe("a response of the corpus", () => {
  const vectors = responseHeads.filter(({ requestMethod }) => requestMethod !== "CONNECT");
  test.each(vectors.map(({ name, requestMethod, input }) => [name, requestMethod, input] as const))(
    "with %s, to %s",
    async (_name, method, input) => {
      await withEnds(async (client, port) => {
        client.write(`${method} http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
        const origin = await server.next();
        await origin.untilText("\r\n\r\n");
        origin.write(input);
        origin.finish();
        await client.untilEnd();
        const parsed = parseResponseHead(Buffer.from(input, "latin1"), { maxBytes: 64 * 1024, maxFields: 256 });
        const head = parsed.kind === "done" ? parsed.value : undefined;
        const framing = head === undefined ? undefined : frameResponse(head, method);
        const stripped = head === undefined ? undefined : stripHopByHop(head.fields);
        const isGood =
          framing !== undefined && framing.kind !== "bad" && framing.kind !== "tunnel" && stripped?.kind === "done";
        if (head === undefined || !isGood || head.status === 407 || head.status < 200) {
          expect(client.text).toMatch(/(?:^|\r\n\r\n)HTTP\/1\.1 502 /);
          return;
        }
        const received = parseResponseHead(client.received, wide);
        if (received.kind !== "done") throw new Error(`The client cannot read ${JSON.stringify(client.text)}`);
        expect([received.value.status, received.value.reason]).toEqual([head.status, head.reason]);
        const added = [VIA, CONNECTION, TRANSFER_ENCODING, ...(head.fields.has(DATE) ? [] : [DATE])];
        const bare = head.status === 204 ? [CONTENT_LENGTH] : [];
        expect(list(withoutFields(received.value.fields, ...added))).toEqual(
          list(withoutFields(canonicaliseLength(strip(head.fields)), VIA, ...bare)),
        );
      });
    },
  );
});

describe("a chunked body of the corpus", () => {
  const limits = { maxExtensionBytes: 16 * 1024, maxTrailerBytes: 16 * 1024, maxTrailerFields: 100 };

  test.each(chunkedBodies.map(({ name, input }) => [name, input] as const))(
    "with %s, in a response",
    async (_name, input) => {
      const body = Buffer.from(input, "latin1");
      const step = createChunkedDecoder(limits, "chunks", "tolerant").push(body);
      await withEnds(async (client, port) => {
        client.write(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
        const origin = await server.next();
        await origin.untilText("\r\n\r\n");
        origin.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        await client.untilText("\r\n\r\n");
        const headEnd = client.receivedBytes;
        origin.write(body);
        origin.finish();
        await client.untilEnd();
        const passed = client.received.subarray(headEnd);
        // What goes on is canonical, so that a strict reader takes it.
        const again = createChunkedDecoder({ ...limits, maxExtensionBytes: 0 }, "chunks").push(passed);
        if (step.kind !== "done") expect(again.kind).not.toBe("done");
        else expect(Buffer.from(passed).toString("latin1")).toBe(Buffer.from(step.output).toString("latin1"));
      });
    },
  );

  test.each(chunkedBodies.map(({ name, input }) => [name, input] as const))("with %s", async (_name, input) => {
    const body = Buffer.from(input, "latin1");
    const step = createChunkedDecoder(limits, "chunks").push(body);
    await withEnds(async (client, port) => {
      client.write(`POST http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const origin = await server.next();
      await origin.untilText("\r\n\r\n");
      const headEnd = origin.receivedBytes;
      client.write(body);
      if (step.kind === "done") {
        await origin.until((peer) => peer.receivedBytes >= headEnd + step.output.length, "the body");
        expect(origin.text.slice(headEnd)).toBe(Buffer.from(step.output).toString("latin1"));
        return;
      }
      client.finish();
      await origin.untilEnd();
      expect(origin.end).toBe("reset");
      const passed = origin.received.subarray(headEnd);
      expect(createChunkedDecoder(limits, "chunks").push(passed).kind).not.toBe("done");
    });
  });
});
