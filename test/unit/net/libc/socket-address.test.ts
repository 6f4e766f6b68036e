import { describe, expect, test } from "bun:test";
import { encodeSocketAddress } from "../../../../src/net/libc/socket-address.ts";
import { makeIp } from "../../../support/make-policy.ts";

describe("encodeSocketAddress()", () => {
  test("lays out sockaddr_in", () => {
    expect([...encodeSocketAddress(makeIp("192.0.2.1"), 443)]).toEqual([
      2, 0, 1, 187, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
  });

  test("lays out sockaddr_in6, without flow and scope", () => {
    const bytes = [...encodeSocketAddress(makeIp("2001:db8::1"), 8080)];
    expect(bytes).toHaveLength(28);
    expect(bytes.slice(0, 8)).toEqual([10, 0, 0x1f, 0x90, 0, 0, 0, 0]);
    expect(bytes.slice(8, 24)).toEqual([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    expect(bytes.slice(24)).toEqual([0, 0, 0, 0]);
  });
});
