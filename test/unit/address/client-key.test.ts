import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ipFromBytes } from "../../../src/address/ip.ts";
import { clientKey } from "../../../src/address/client-key.ts";
import { makeIp } from "../../support/make-policy.ts";

const USUAL = { v4: 32, v6: 64 };

describe("clientKey()", () => {
  test("is the address of an IPv4 client, and the network of an IPv6 client", () => {
    expect(clientKey(makeIp("192.0.2.1"), USUAL)).toBe("192.0.2.1");
    expect(clientKey(makeIp("::ffff:192.0.2.1"), USUAL)).toBe("192.0.2.1");
    expect(clientKey(makeIp("2001:db8:1:2::1"), USUAL)).toBe("2001:db8:1:2::/64");
    expect(clientKey(makeIp("2001:db8:1:2:ffff:ffff:ffff:ffff"), USUAL)).toBe("2001:db8:1:2::/64");
    expect(clientKey(makeIp("2001:db8:1:3::1"), USUAL)).toBe("2001:db8:1:3::/64");
    expect(clientKey(makeIp("::1"), USUAL)).toBe("::/64");
  });

  test("takes as many bits as it is told", () => {
    expect(clientKey(makeIp("192.0.2.129"), { v4: 25, v6: 64 })).toBe("192.0.2.128/25");
    expect(clientKey(makeIp("2001:db8:abcd:ef12::1"), { v4: 32, v6: 56 })).toBe("2001:db8:abcd:ef00::/56");
    expect(clientKey(makeIp("2001:db8::1"), { v4: 32, v6: 128 })).toBe("2001:db8::1");
  });

  test("is the same for two addresses when their leading bits are", () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(bytes, bytes, fc.integer({ min: 16, max: 128 }), (one, other, v6) => {
        // Other addresses than those of 2000::/3 may stand for IPv4.
        one[0] = 0x20;
        other[0] = 0x20;
        const [a, b] = [one, other].map((each) =>
          [...each].map((byte) => byte.toString(2).padStart(8, "0")).join(""),
        ) as [string, string];
        const keys = [one, other].map((each) => clientKey(ipFromBytes(each), { v4: 32, v6 }));
        expect(keys[0] === keys[1]).toBe(a.slice(0, v6) === b.slice(0, v6));
      }),
    );
  });
});
