import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../../../src/protocol/tls/read/byte-reader.ts";
import { parseClientHello } from "../../../../../src/protocol/tls/read/client-hello.ts";
import { computeJa4 } from "../../../../../src/protocol/tls/read/ja4.ts";
import {
  alpn,
  buildClientHello,
  type HelloParts,
  serverName,
  u16,
  u8,
  vector,
} from "../../../../support/build-client-hello.ts";
import { listMessages, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

function ja4Of(parts: HelloParts) {
  const parsed = parseClientHello(new ByteReader(buildClientHello(parts)));
  if (parsed.kind === "bad") throw new Error(parsed.code);
  return computeJa4(parsed.value);
}

const SIGNATURES = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
const CIPHERS = [
  0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f,
  0x0035,
];

/** Contents with which each extension of the example is well formed. */
function extensionsOfExample(signatures: readonly number[]): (readonly [number, Uint8Array])[] {
  return [
    [0x4a4a, u8()],
    [0x001b, vector(1, u16(2))],
    serverName("example.org"),
    [0x0033, vector(2, u16(29), vector(2, new Uint8Array(32)))],
    alpn("h2", "http/1.1"),
    [0x4469, vector(2, vector(1, new TextEncoder().encode("h2")))],
    [0x0017, u8()],
    [0x002d, vector(1, u8(1))],
    [0x000d, vector(2, u16(...signatures))],
    [0x0005, u8(1, 0, 0, 0, 0)],
    [0x0023, u8()],
    [0x0012, u8()],
    [0x002b, vector(1, u16(0xdada, 0x0304, 0x0303))],
    [0xff01, vector(1)],
    [0x000b, vector(1, u8(0))],
    [0x000a, vector(2, u16(29, 23, 24))],
    [0x0015, new Uint8Array(3)],
    [0xbaba, u8(0)],
  ];
}

// The examples are those of https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md.
describe("computeJa4()", () => {
  test("gives the published example", () => {
    expect(ja4Of({ cipherSuites: [0x9a9a, ...CIPHERS], extensions: extensionsOfExample(SIGNATURES) })).toBe(
      "t13d1516h2_8daaf6152771_e5627efa2ab1",
    );
  });

  test("leaves GREASE among the signature algorithms out", () => {
    const extensions = extensionsOfExample([0x1a1a, ...SIGNATURES]);
    expect(ja4Of({ cipherSuites: CIPHERS, extensions })).toBe("t13d1516h2_8daaf6152771_e5627efa2ab1");
  });

  test("ends without an underscore when there are no signature algorithms", () => {
    expect(ja4Of({ cipherSuites: CIPHERS, extensions: extensionsOfExample([]) })).toBe(
      "t13d1516h2_8daaf6152771_6d807ffa2a79",
    );
  });

  test("writes zeros for what is not there", () => {
    expect(ja4Of({ cipherSuites: [], extensions: undefined })).toBe("t12i000000_000000000000_000000000000");
    expect(ja4Of({ cipherSuites: [0x0a0a], extensions: [serverName("a"), alpn("h2")] })).toBe(
      "t12d0002h2_000000000000_000000000000",
    );
  });

  test.each([
    [0x0300, "s3"],
    [0x0301, "10"],
    [0x0302, "11"],
    [0x0303, "12"],
    [0x0305, "00"],
  ])("writes the version 0x0%o of a hello without supported versions as it is listed", (legacyVersion, mark) => {
    expect(ja4Of({ legacyVersion }).slice(1, 3)).toBe(mark);
  });

  test.each([
    ["6832", "h2"],
    ["687474702f312e31", "h1"],
    ["78", "xx"],
    ["", "00"],
    ["ab", "ab"],
    ["20", "20"],
    ["abcd", "ad"],
    ["2061", "21"],
    ["30ab", "3b"],
    ["6120", "60"],
    ["3031abcd", "3d"],
    ["30abcd31", "01"],
  ])("takes a first protocol of the bytes '%s' as %s", (hex, mark) => {
    expect(ja4Of({ extensions: [alpn(Uint8Array.fromHex(hex), "other")] }).slice(8, 10)).toBe(mark);
  });

  test("gives a recorded Chromium the hash of its cipher suites that is published of Chrome", () => {
    const marks = ["chromium", "chromium-tls12"].map((name) => {
      const [hello] = listMessages(watchAll("client", loadTlsFixture(name).client), "client_hello");
      return hello && computeJa4(hello);
    });
    // Its extensions are in another order each time.
    expect(new Set(marks).size).toBe(1);
    expect(marks[0]).toMatch(/^t13d15\d\dh2_8daaf6152771_/);
  });

  test("takes an empty list of protocols as none", () => {
    expect(ja4Of({ extensions: [alpn()] }).slice(8, 10)).toBe("00");
  });

  test("counts no further than 99", () => {
    const many = Array.from({ length: 120 }, (_, index) => index + 1);
    expect(ja4Of({ cipherSuites: many, extensions: many.map((code) => [code + 2000, u8()]) })).toStartWith("t12i9999");
  });
});
