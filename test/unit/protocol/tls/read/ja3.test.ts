import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../../../src/protocol/tls/read/byte-reader.ts";
import { parseClientHello } from "../../../../../src/protocol/tls/read/client-hello.ts";
import { computeJa3 } from "../../../../../src/protocol/tls/read/ja3.ts";
import { buildClientHello, serverName, u16, u8, vector } from "../../../../support/build-client-hello.ts";

function ja3Of(parts: Parameters<typeof buildClientHello>[0]) {
  const parsed = parseClientHello(new ByteReader(buildClientHello(parts)));
  if (parsed.kind === "bad") throw new Error(parsed.code);
  return computeJa3(parsed.value);
}

// The examples are those of https://github.com/salesforce/ja3.
describe("computeJa3()", () => {
  test("gives the published example with groups and point formats, without GREASE", () => {
    const ja3 = ja3Of({
      legacyVersion: 769,
      cipherSuites: [0x0a0a, 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4],
      extensions: [
        [0xfafa, u8()],
        serverName("a.example"),
        [10, vector(2, u16(0x3a3a, 23, 24, 25))],
        [11, vector(1, u8(0))],
      ],
    });
    expect(ja3).toEqual({
      text: "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
      hash: "ada70206e40642a3e4461f35503241d5",
    });
  });

  test("leaves the fields empty for a hello without extensions", () => {
    expect(
      ja3Of({
        legacyVersion: 769,
        cipherSuites: [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99],
        extensions: undefined,
      }),
    ).toEqual({
      text: "769,4-5-10-9-100-98-3-6-19-18-99,,,",
      hash: "de350869b8c85de67a350c8d186f11e6",
    });
  });
});
