import { describe, expect, test } from "bun:test";
import { compileNat64, dnsSchema } from "../../../src/config/dns.ts";

describe("dns.nat64", () => {
  test("takes the prefix of the network's translator, or several", () => {
    expect(dnsSchema.safeParse({ nat64: "2001:db8:64::/96" }).success).toBe(true);
    expect(dnsSchema.safeParse({ nat64: ["2001:db8:64::/96", "2001:db8::/32"] }).success).toBe(true);
    expect(dnsSchema.parse(undefined)).toEqual({});
  });

  test("says what is wrong with another range", () => {
    for (const nat64 of ["10.0.0.0/8", "2001:db8::/33", "2001:db8::1/96", "64:ff9b::", 96, []]) {
      const read = dnsSchema.safeParse({ nat64 });
      expect(read.error?.issues[0]?.message).toMatch(/Write |has bits set/);
    }
  });

  test("is known beside the well-known prefix, the longest first", () => {
    expect(compileNat64("2001:db8:64::/48").map(({ text }) => text)).toEqual(["64:ff9b::/96", "2001:db8:64::/48"]);
  });
});
