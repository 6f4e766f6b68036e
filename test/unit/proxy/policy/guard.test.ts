import { describe, expect, test } from "bun:test";
import { guardAddress } from "../../../../src/proxy/policy/guard.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { isLocalhostName } from "../../../../src/proxy/resolve/resolve-host.ts";
import type { AllowDecision } from "../../../../src/proxy/policy/decision.ts";

const plain: AllowDecision = { verdict: "allow", rule: "r", allowPrivate: false, via: [] };
const inside: AllowDecision = { ...plain, allowPrivate: true };
const ours = { own: { has: () => false } };

describe("guardAddress()", () => {
  test("lets public addresses pass", () => {
    for (const text of ["1.1.1.1", "2606:4700::1111"]) {
      expect(guardAddress(makeIp(text), 443, plain, ours)).toBeUndefined();
    }
  });

  test("refuses special-purpose addresses and says which and what they are", () => {
    expect(guardAddress(makeIp("10.0.0.1"), 443, plain, ours)).toEqual({
      detail: "address_prohibited",
      note: "10.0.0.1 is private",
    });
    expect(guardAddress(makeIp("::ffff:127.0.0.1"), 443, plain, ours)?.note).toBe("127.0.0.1 is loopback");
  });

  test("lets a rule open them", () => {
    for (const text of ["10.0.0.1", "127.0.0.1", "::1", "fe80::1"]) {
      expect(guardAddress(makeIp(text), 443, inside, ours)).toBeUndefined();
    }
  });

  test("opens metadata addresses only to a rule that names the very address", () => {
    const ip = makeIp("169.254.169.254");
    expect(guardAddress(ip, 80, inside, ours)?.note).toBe("169.254.169.254 is metadata");
    expect(guardAddress(ip, 80, { ...inside, exactAddress: true }, ours)).toBeUndefined();
    expect(guardAddress(ip, 80, { ...plain, exactAddress: true }, ours)).toBeDefined();
  });

  test("never opens our own listeners", () => {
    const own = { has: (ip: { text: string }, port: number) => ip.text === "127.0.0.1" && port === 8080 };
    expect(guardAddress(makeIp("127.0.0.1"), 8080, inside, { own })).toEqual({
      detail: "proxy_loop",
      note: "127.0.0.1",
    });
    expect(guardAddress(makeIp("127.0.0.1"), 8081, inside, { own })).toBeUndefined();
  });
});

test("isLocalhostName() knows localhost and what is below it, and nothing that looks like it", () => {
  for (const name of ["localhost", "a.localhost", "a.b.localhost"]) expect(isLocalhostName(name)).toBe(true);
  for (const name of ["localhost.example", "mylocalhost", "localhost4"]) expect(isLocalhostName(name)).toBe(false);
});
