import { describe, expect, test } from "bun:test";
import { parseProxyHeader } from "../../../../src/protocol/proxy-header/proxy-header.ts";
import { encodeProxyHeaderV1 } from "../../../../src/protocol/proxy-header/proxy-header-v1.ts";
import { encodeProxyHeaderV2 } from "../../../../src/protocol/proxy-header/proxy-header-v2.ts";
import { feedParser } from "../../../support/feed-parser.ts";

describe("parseProxyHeader()", () => {
  test("reads both versions", () => {
    const local = { kind: "local" } as const;
    expect(feedParser(parseProxyHeader, encodeProxyHeaderV1(local))).toEqual({ kind: "done", value: local, used: 15 });
    expect(feedParser(parseProxyHeader, encodeProxyHeaderV2(local))).toEqual({ kind: "done", value: local, used: 16 });
  });

  test("refuses a connection that begins without a header at its first byte", () => {
    for (const start of ["CONNECT a:443 HTTP/1.1", "\x05\x01\x00", "\x16\x03\x01", "\n"]) {
      const parsed = feedParser(parseProxyHeader, Buffer.from(start, "latin1"));
      expect(parsed).toEqual({ kind: "bad", code: "bad_signature", at: 0 });
    }
  });
});
