import { describe, expect, test } from "bun:test";
import { createRequestHeadParser } from "../../../../src/protocol/http1/request-head.ts";
import { parseSocks4Request } from "../../../../src/protocol/socks/socks4-server.ts";
import type { FirstMessage } from "../../../../src/proxy/read/first-message.ts";
import { readCredentials } from "../../../../src/proxy/read/read-credentials.ts";
import { readRequest } from "../../../../src/proxy/read/read-request.ts";
import { Socks5Handshake } from "../../../../src/proxy/read/socks5-handshake.ts";
import { ConnectTargets } from "../../../../src/proxy/read/tunnel-request.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";

const later = Number.POSITIVE_INFINITY;

function http(text: string): FirstMessage {
  const parsed = createRequestHeadParser({ maxBytes: 4096, maxFields: 20 }).parse(Buffer.from(text, "latin1"));
  if (parsed.kind !== "done") throw new Error(`${text} is no head`);
  return { protocol: "http", head: parsed.value };
}

function socks4(text: string): FirstMessage {
  const parsed = parseSocks4Request(Buffer.from(text, "latin1"));
  if (parsed.kind !== "done") throw new Error(`${text} is no request`);
  return { protocol: "socks4", request: parsed.value };
}

function read(first: FirstMessage, conn = new MemoryConn()) {
  return readRequest(first, conn, new ConnectTargets(), later);
}

describe("readRequest()", () => {
  test.each([
    ["CONNECT example.org:443 HTTP/1.1\r\nHost: other\r\n\r\n", "tunnel", "example.org", 443],
    ["CONNECT [::1]:1 HTTP/1.0\r\n\r\n", "tunnel", "::1", 1],
    ["GET http://EXAMPLE.org/x HTTP/1.1\r\nHost: example.org\r\n\r\n", "forward", "example.org", 80],
  ])("reads %j at once", (head, kind, host, port) => {
    expect(read(http(head))).toMatchObject({ ok: true, value: { kind, target: { host: { text: host }, port } } });
  });

  test.each([
    ["CONNECT example.org HTTP/1.1\r\nHost: example.org\r\n\r\n", "bad_target"],
    ["CONNECT 0x7f.1:443 HTTP/1.1\r\nHost: x\r\n\r\n", "bad_target"],
    ["CONNECT http://example.org/ HTTP/1.1\r\nHost: x\r\n\r\n", "bad_target"],
    ["CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "malformed_request"],
    ["CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n", "malformed_request"],
    ["GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "not_for_a_proxy"],
  ] as const)("refuses %j", (head, detail) => {
    expect(read(http(head))).toMatchObject({ ok: false, failure: { detail } });
  });

  test.each([
    ["\x04\x01\x01\xbb\xc0\x00\x02\x01\x00", "connect", undefined],
    ["\x04\x02\x01\xbb\xc0\x00\x02\x01\x00", "bind", "command_not_supported"],
    ["\x04\x01\x00\x00\xc0\x00\x02\x01\x00", "connect", "bad_target"],
  ] as const)("reads SOCKS4 %j, and tells its command", (text, command, detail) => {
    expect(read(socks4(text))).toMatchObject(
      detail === undefined ? { ok: true, command } : { ok: false, failure: { detail }, command },
    );
  });

  test("reads SOCKS5 when it comes, and tells its command", async () => {
    const conn = new MemoryConn();
    const handshake = new Socks5Handshake({ noAuth: true, password: false });
    const reading = read({ protocol: "socks5", handshake }, conn);
    conn.say("\x05\x03\x00\x01\xc0\x00\x02\x01\x01\xbb");
    expect(await reading).toEqual({
      ok: false,
      failure: { detail: "command_not_supported", note: "udp_associate" },
      command: "udp_associate",
    });
  });
});

describe("readCredentials()", () => {
  const demand = { required: true, endsAt: later };

  test("takes every value of a field, with the request that it is for", () => {
    const fields = "Proxy-Authorization: Basic YTpi\r\nProxy-Authorization: Digest x\r\n";
    expect(
      readCredentials(http(`GET http://a/ HTTP/1.1\r\nHost: a\r\n${fields}\r\n`), new MemoryConn(), demand),
    ).toEqual({
      ok: true,
      value: { kind: "fields", values: ["Basic YTpi", "Digest x"], method: "GET", target: "http://a/" },
    });
  });

  test("finds nothing where nothing is said, and asks nobody", () => {
    const conn = new MemoryConn();
    for (const first of [
      http("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
      socks4("\x04\x01\x01\xbb\xc0\x00\x02\x01ann\x00"),
    ])
      expect(readCredentials(first, conn, demand)).toEqual({ ok: true, value: { kind: "nothing" } });
    expect(conn.text).toBe("");
  });

  test("asks a SOCKS5 client only where it has to", async () => {
    const conn = new MemoryConn();
    const greet = () =>
      ({ protocol: "socks5", handshake: new Socks5Handshake({ noAuth: true, password: true }) }) as const;
    expect(await readCredentials(greet(), conn, { ...demand, required: false })).toEqual({
      ok: true,
      value: { kind: "nothing" },
    });
    conn.say("\x01\x01a\x01b");
    expect(await readCredentials(greet(), conn, demand)).toMatchObject({ value: { kind: "password", user: "a" } });
  });
});

describe("ConnectTargets", () => {
  test("gives one request for equal targets, and forgets rather than grows", () => {
    const targets = new ConnectTargets();
    const first = targets.read("example.org:443");
    expect(targets.read("example.org:443")).toBe(first);
    for (let port = 1; port <= 300; port++) targets.read(`example.org:${port}`);
    expect(targets.read("example.org:443")).not.toBe(first);
    expect(targets.read("example.org:443")).toEqual(first);
  });

  test("remembers nothing that is wrong", () => {
    const targets = new ConnectTargets();
    expect(targets.read("example.org")).not.toBe(targets.read("example.org"));
  });
});
