import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../../../src/protocol/tls/read/byte-reader.ts";
import { parseServerHello, resumesSession } from "../../../../../src/protocol/tls/read/server-hello.ts";
import { alpn, concat, u16, u8, vector } from "../../../../support/build-client-hello.ts";
import { listMessages, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

function build(extensions: (readonly [number, Uint8Array])[], random: Uint8Array = new Uint8Array(32)): Uint8Array {
  return concat(
    u16(0x0303),
    random,
    vector(1, u8(1, 2)),
    u16(0xc02f),
    u8(0),
    vector(2, ...extensions.map(([type, data]) => concat(u16(type), vector(2, data)))),
  );
}

describe("parseServerHello()", () => {
  test("reads what a TLS 1.2 server chose", () => {
    const body = build([[0xff01, vector(1)], alpn("h2"), [35, u8()], [5, u8()], [23, u8()], [22, u8()]]);
    expect(parseServerHello(new ByteReader(body))).toMatchObject({
      kind: "done",
      value: {
        helloRetryRequest: false,
        version: 0x0303,
        sessionId: u8(1, 2),
        cipherSuite: 0xc02f,
        alpn: "h2",
        downgradedFrom: undefined,
      },
    });
  });

  test("takes the version of TLS 1.3 from its extension", () => {
    const body = build([
      [43, u16(0x0304)],
      [51, concat(u16(29), vector(2, new Uint8Array(32)))],
      [41, u16(0)],
    ]);
    expect(parseServerHello(new ByteReader(body))).toMatchObject({
      kind: "done",
      value: { legacyVersion: 0x0303, version: 0x0304, keyShare: { group: 29, length: 32 }, pskIndex: 0 },
    });
  });

  test.each([
    [1, "TLS 1.3"],
    [0, "TLS 1.2"],
    [2, undefined],
  ] as const)("sees the downgrade mark that ends in %d", (last, downgradedFrom) => {
    const random = concat(new Uint8Array(24), new TextEncoder().encode("DOWNGRD"), u8(last));
    expect(parseServerHello(new ByteReader(build([], random)))).toMatchObject({
      kind: "done",
      value: { downgradedFrom },
    });
  });

  test("refuses an answer with two protocols", () => {
    expect(parseServerHello(new ByteReader(build([alpn("h2", "http/1.1")])))).toMatchObject({
      kind: "bad",
      code: "bad_value",
    });
  });

  test("refuses every beginning, but the one that stops before the extensions", () => {
    const body = build([[43, u16(0x0304)]]);
    const good = Array.from(body.keys()).filter(
      (length) => parseServerHello(new ByteReader(body.subarray(0, length))).kind === "done",
    );
    expect(good).toEqual([40]);
  });

  test("tells a HelloRetryRequest from the hello that follows", () => {
    const hellos = listMessages(watchAll("server", loadTlsFixture("openssl-tls13-hello-retry").server), "server_hello");
    expect(hellos).toMatchObject([
      { helloRetryRequest: true, version: 0x0304, keyShare: { group: 24, length: 0 } },
      { helloRetryRequest: false, version: 0x0304, keyShare: { group: 24, length: 97 } },
    ]);
  });
});

describe("resumesSession()", () => {
  const lastHellos = (name: string) => {
    const fixture = loadTlsFixture(name);
    const client = listMessages(watchAll("client", fixture.client), "client_hello");
    const server = listMessages(watchAll("server", fixture.server), "server_hello");
    return { client, server };
  };

  test.each([
    ["openssl-tls13", false],
    ["openssl-tls13-early-data", true],
    ["openssl-tls13-hello-retry", false],
    ["openssl-tls12-ecdhe-rsa", false],
    ["openssl-tls12-ticket", true],
    ["openssl-tls12-session-id", true],
    ["openssl-tls10", false],
  ])("tells whether %s was resumed", (name, resumed) => {
    const { client, server } = lastHellos(name);
    const [offer, answer] = [client.at(-1), server.at(-1)];
    if (offer === undefined || answer === undefined) throw new Error("Both hellos were recorded");
    expect(resumesSession(answer, offer.sessionIdText)).toBe(resumed);
    expect(Buffer.from(offer.sessionIdText, "latin1")).toEqual(Buffer.from(offer.sessionId));
  });

  test("calls no HelloRetryRequest a resumption", () => {
    const { client, server } = lastHellos("openssl-tls13-hello-retry");
    if (client[0] === undefined || server[0] === undefined) throw new Error("Both hellos were recorded");
    expect(resumesSession(server[0], client[0].sessionIdText)).toBe(false);
  });
});
