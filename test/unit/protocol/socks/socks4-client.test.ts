import { describe, expect, test } from "bun:test";
import { encodeSocks4aConnect, parseSocks4Reply } from "../../../../src/protocol/socks/socks4-client.ts";
import { feedParser } from "../../../support/feed-parser.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";

function encode(target: string, userId = ""): number[] | string {
  const encoded = encodeSocks4aConnect(makeEndpoint(target), userId);
  return encoded.ok ? [...encoded.bytes] : encoded.code;
}

describe("encodeSocks4aConnect()", () => {
  test("sends an address as SOCKS4 does", () => {
    expect(encode("192.0.2.1:443", "me")).toEqual([4, 1, 1, 187, 192, 0, 2, 1, 109, 101, 0]);
  });

  test("sends a name after the user id, announced by 0.0.0.1", () => {
    expect(encode("a.test:80")).toEqual([4, 1, 0, 80, 0, 0, 0, 1, 0, ...Buffer.from("a.test"), 0]);
  });

  test("says that IPv6 has no form in SOCKS4", () => {
    expect(encode("[2001:db8::1]:80")).toBe("ipv6_not_supported");
  });

  test("says that an address which would announce a name has no form", () => {
    expect(encode("0.0.0.7:80")).toBe("address_not_encodable");
    expect(encode("0.0.0.0:80")).toBe("address_not_encodable");
  });

  test("refuses a user id that is too long or would end early", () => {
    expect(encode("192.0.2.1:80", "u".repeat(255))).toHaveLength(264);
    expect(encode("192.0.2.1:80", "u".repeat(256))).toBe("user_id_invalid");
    expect(encode("192.0.2.1:80", "a\0b")).toBe("user_id_invalid");
  });
});

describe("parseSocks4Reply()", () => {
  const parse = (...bytes: number[]) => feedParser(parseSocks4Reply, Uint8Array.from(bytes));

  test("names every code and uses eight bytes", () => {
    const words = [90, 91, 92, 93].map((code) => parse(0, code, 1, 2, 3, 4, 5, 6));
    expect(words).toEqual([
      { kind: "done", value: "granted", used: 8 },
      { kind: "done", value: "rejected", used: 8 },
      { kind: "done", value: "identd_unreachable", used: 8 },
      { kind: "done", value: "identd_mismatch", used: 8 },
    ]);
  });

  test("asks for more until all eight bytes are there", () => {
    expect(parse(0, 90, 0, 0, 0, 0, 0)).toEqual({ kind: "more" });
  });

  test("refuses another version and a code outside 90 to 93", () => {
    expect(parse(4)).toEqual({ kind: "bad", code: "bad_version", at: 0 });
    expect(parse(0, 89)).toEqual({ kind: "bad", code: "bad_code", at: 1 });
    expect(parse(0, 94)).toEqual({ kind: "bad", code: "bad_code", at: 1 });
  });
});
