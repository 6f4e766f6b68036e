import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../../../src/protocol/tls/read/byte-reader.ts";
import { parseClientHello } from "../../../../../src/protocol/tls/read/client-hello.ts";
import {
  alpn,
  ascii,
  buildClientHello,
  concat,
  serverName,
  u16,
  u8,
  vector,
} from "../../../../support/build-client-hello.ts";
import { listMessages, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

function parse(extensions: (readonly [number, Uint8Array])[]) {
  return parseClientHello(new ByteReader(buildClientHello({ extensions })));
}

function parseGood(extensions: (readonly [number, Uint8Array])[]) {
  const parsed = parse(extensions);
  if (parsed.kind === "bad") throw new Error(parsed.code);
  return parsed.value;
}

describe("parseClientHello()", () => {
  test("reads a hello without extensions, as before TLS 1.2", () => {
    const body = buildClientHello({
      legacyVersion: 0x0301,
      sessionId: u8(1, 2, 3),
      cipherSuites: [0x002f, 0x00ff],
      compressionMethods: [1, 0],
      extensions: undefined,
    });
    const parsed = parseClientHello(new ByteReader(body));
    expect(parsed).toMatchObject({
      kind: "done",
      value: {
        legacyVersion: 0x0301,
        sessionId: u8(1, 2, 3),
        cipherSuites: [0x002f, 0x00ff],
        compressionMethods: [1, 0],
        extensions: [],
        serverName: undefined,
        sessionTicketLength: undefined,
      },
    });
  });

  test("reads every extension that it knows, in wire order", () => {
    const hello = parseGood([
      [0x1a1a, u8()],
      serverName("Server.Example"),
      [5, concat(u8(1), vector(2), vector(2))],
      [10, vector(2, u16(0x2a2a, 4588, 29))],
      [11, vector(1, u8(0, 1))],
      [13, vector(2, u16(0x0403, 0x0804))],
      alpn("h2", u8(0x0a, 0x0a), "http/1.1"),
      [21, new Uint8Array(9)],
      [27, vector(1, u16(2, 1))],
      [28, u16(0x4001)],
      [34, vector(2, u16(0x0403))],
      [35, new Uint8Array(5)],
      [42, u8()],
      [43, vector(1, u16(0x3a3a, 0x0304, 0x0303))],
      [44, vector(2, u8(1, 2, 3))],
      [45, vector(1, u8(1, 0))],
      [50, vector(2, u16(0x0601))],
      [51, vector(2, u16(0x2a2a), vector(2, u8(0)), u16(29), vector(2, new Uint8Array(32)))],
      [17613, vector(2, vector(1, ascii("h2")))],
      [0x1234, u8(9)],
      [
        41,
        concat(vector(2, vector(2, new Uint8Array(7)), u16(0xffff, 0xfffe)), vector(2, vector(1, new Uint8Array(32)))),
      ],
    ]);
    expect(hello).toMatchObject({
      serverName: "Server.Example",
      groups: [0x2a2a, 4588, 29],
      pointFormats: [0, 1],
      signatureAlgorithms: [0x0403, 0x0804],
      alpn: ["h2", "\n\n", "http/1.1"],
      paddingLength: 9,
      certificateCompressions: [2, 1],
      recordSizeLimit: 0x4001,
      delegatedCredentialAlgorithms: [0x0403],
      sessionTicketLength: 5,
      earlyData: true,
      supportedVersions: [0x3a3a, 0x0304, 0x0303],
      cookieLength: 3,
      pskModes: [1, 0],
      signatureAlgorithmsCert: [0x0601],
      keyShares: [
        { group: 0x2a2a, length: 1 },
        { group: 29, length: 32 },
      ],
      applicationSettings: ["h2"],
      pskIdentities: [{ length: 7, obfuscatedTicketAge: 0xfffffffe }],
    });
    expect(hello.extensions.map(({ type }) => type)).toEqual([
      0x1a1a, 0, 5, 10, 11, 13, 16, 21, 27, 28, 34, 35, 42, 43, 44, 45, 50, 51, 17613, 0x1234, 41,
    ]);
    expect(hello.extensions[19]).toEqual({ type: 0x1234, length: 1 });
  });

  test("reads the outer and the inner form of Encrypted Client Hello", () => {
    const outer = concat(u8(0), u16(1, 3), u8(0x42), vector(2, new Uint8Array(32)), vector(2, new Uint8Array(144)));
    expect(parseGood([[0xfe0d, outer]]).encryptedClientHello).toEqual({
      kind: "outer",
      kdf: 1,
      aead: 3,
      configId: 0x42,
      encapsulatedKeyLength: 32,
      payloadLength: 144,
    });
    expect(parseGood([[0xfe0d, u8(1)]]).encryptedClientHello).toEqual({ kind: "inner" });
    expect(parse([[0xfe0d, u8(2)]])).toMatchObject({ kind: "bad", code: "bad_value" });
  });

  test("tells that a list is absent from that it is empty only in the extensions", () => {
    expect(
      parseGood([
        [10, vector(2)],
        [16, vector(2)],
      ]),
    ).toMatchObject({ groups: [], alpn: [] });
  });

  test("refuses two extensions of one type", () => {
    const at = buildClientHello({ extensions: [] }).length + 4;
    expect(
      parse([
        [0x0a0a, u8()],
        [0x0a0a, u8()],
      ]),
    ).toEqual({ kind: "bad", code: "duplicate_extension", at });
  });

  test("refuses a pre-shared key that is not the last extension", () => {
    const psk = concat(vector(2, vector(2, u8(1)), u16(0, 0)), vector(2, vector(1, new Uint8Array(32))));
    expect(
      parse([
        [41, psk],
        [21, u8()],
      ]),
    ).toMatchObject({ kind: "bad", code: "misplaced_extension" });
    expect(
      parse([
        [21, u8()],
        [41, psk],
      ]),
    ).toMatchObject({ kind: "done" });
  });

  test("refuses as many binders as there are not identities", () => {
    expect(parse([[41, concat(vector(2, vector(2, u8(1)), u16(0, 0)), vector(2))]])).toMatchObject({ kind: "bad" });
  });

  test.each([
    ["an empty extension", u8()],
    ["an empty list", vector(2)],
    ["an empty name", vector(2, u8(0), vector(2))],
    ["another type of name", vector(2, u8(1), vector(2, ascii("a.example")))],
    ["two names", vector(2, u8(0), vector(2, ascii("a.example")), u8(0), vector(2, ascii("b.example")))],
    ["a NUL in the name", vector(2, u8(0), vector(2, ascii("a.example\0.evil")))],
    ["a space in the name", vector(2, u8(0), vector(2, ascii("a b")))],
    ["a line feed in the name", vector(2, u8(0), vector(2, ascii("a\nb")))],
    ["bytes beyond ASCII", vector(2, u8(0), vector(2, ascii("bücher.example")))],
    ["a length past the end", concat(u16(12), u8(0), vector(2, ascii("a.example")).subarray(0, 9))],
  ])("refuses a server name that is %s", (_, data) => {
    expect(parse([[0, data]])).toMatchObject({ kind: "bad", code: "bad_server_name" });
  });

  test("refuses bytes after the server name", () => {
    const [type, data] = serverName("a.example");
    expect(parse([[type, concat(data, u8(0))]])).toMatchObject({ kind: "bad", code: "trailing_bytes" });
  });

  test.each([
    ["an odd list of groups", 10, concat(u16(3), u8(0, 29, 0))],
    ["a list longer than its extension", 13, concat(u16(4), u16(0x0403))],
    ["a protocol longer than its list", 16, concat(u16(3), u8(9), ascii("h2"))],
    ["a key share longer than its list", 51, vector(2, u16(29, 32), u8(0))],
    ["an early data extension with contents", 42, u8(0)],
    ["a record size limit of one byte", 28, u8(1)],
  ])("refuses %s", (_, type, data) => {
    expect(parse([[type, data]])).toMatchObject({ kind: "bad" });
  });

  test("refuses versions that are not SSL 3.0 or later, and session ids of more than 32 bytes", () => {
    expect(parseClientHello(new ByteReader(buildClientHello({ legacyVersion: 0x0002 })))).toEqual({
      kind: "bad",
      code: "bad_value",
      at: 0,
    });
    expect(parseClientHello(new ByteReader(buildClientHello({ sessionId: new Uint8Array(33) })))).toEqual({
      kind: "bad",
      code: "bad_value",
      at: 34,
    });
  });

  test("refuses bytes after the extensions", () => {
    const body = buildClientHello({ extensions: [] });
    expect(parseClientHello(new ByteReader(concat(body, u8(0))))).toEqual({
      kind: "bad",
      code: "trailing_bytes",
      at: body.length,
    });
  });

  test("refuses every beginning of a real hello, but the one that stops before the extensions", () => {
    const { client } = loadTlsFixture("curl");
    const whole = client.subarray(9, 517);
    const good: number[] = [];
    for (let length = 0; length <= whole.length; length++)
      if (parseClientHello(new ByteReader(whole.subarray(0, length))).kind === "done") good.push(length);
    const extensionsAt = 34 + 1 + 32 + 2 + 62 + 2;
    expect(good).toEqual([extensionsAt, whole.length]);
  });

  test.each([
    ["curl", { serverName: "server.example", alpn: ["h2", "http/1.1"], earlyData: false }],
    [
      "bun",
      {
        keyShares: [
          { group: 4588, length: 1216 },
          { group: 29, length: 32 },
        ],
      },
    ],
    [
      "chromium",
      {
        supportedVersions: [0x4a4a, 0x0304, 0x0303],
        groups: [0x9a9a, 4588, 29, 23, 24],
        keyShares: [
          { group: 0x9a9a, length: 1 },
          { group: 4588, length: 1216 },
          { group: 29, length: 32 },
        ],
        // It sends one even where it knows no key: as GREASE.
        encryptedClientHello: { kind: "outer", encapsulatedKeyLength: 32, payloadLength: 240 },
        applicationSettings: ["h2"],
        certificateCompressions: [2],
      },
    ],
    ["go", { serverName: "server.example", alpn: ["h2", "http/1.1"], keyShares: [{ group: 29, length: 32 }] }],
    ["java", { serverName: "server.example", supportedVersions: [0x0304, 0x0303] }],
    ["openssl-tls13-early-data", { earlyData: true, pskModes: [1], serverName: undefined }],
  ])("reads the hello of %s", (name, expected) => {
    const [hello] = listMessages(watchAll("client", loadTlsFixture(name).client), "client_hello");
    expect(hello).toMatchObject(expected);
  });

  test("reads a server name that comes after a large post-quantum key share", () => {
    // X25519MLKEM768: an ML-KEM-768 encapsulation key of 1184 bytes, and 32 of X25519.
    const share = vector(
      2,
      u16(4588),
      vector(2, new Uint8Array(1216).fill(0xab)),
      u16(29),
      vector(2, new Uint8Array(32)),
    );
    const hello = parseGood([[51, share], [10, vector(2, u16(4588, 29))], serverName("server.example"), alpn("h2")]);
    expect(hello).toMatchObject({
      serverName: "server.example",
      alpn: ["h2"],
      keyShares: [
        { group: 4588, length: 1216 },
        { group: 29, length: 32 },
      ],
    });
  });

  test("refuses two extensions of one type among very many", () => {
    const many = Array.from({ length: 100 }, (_, index): [number, Uint8Array] => [20_000 + index, u8()]);
    expect(parse(many)).toMatchObject({ kind: "done" });
    for (const type of [20_000, 20_063, 20_064, 20_099, 0x0a0a])
      expect(parse([...many, [0x0a0a, u8()], [type, u8()]])).toMatchObject({
        kind: "bad",
        code: "duplicate_extension",
      });
  });
});
