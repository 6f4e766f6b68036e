import { describe, expect, test } from "bun:test";
import { parseCidr } from "../../../../src/address/cidr.ts";
import {
  classifyThrough,
  findTranslated,
  isNat64Prefix,
  WELL_KNOWN_PREFIX,
} from "../../../../src/proxy/policy/nat64.ts";
import { denyRule, makeIp, makePolicy, makeQuery } from "../../../support/make-policy.ts";
import { evaluateAddress } from "../../../../src/proxy/policy/evaluate.ts";

function cidr(text: string) {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`"${text}" ${parsed.reason}`);
  return parsed.cidr;
}

describe("findTranslated()", () => {
  // RFC 6052 §2.4: 192.0.2.33 behind prefixes of every length.
  test.each([
    ["2001:db8::/32", "2001:db8:c000:221::"],
    ["2001:db8:100::/40", "2001:db8:1c0:2:21::"],
    ["2001:db8:122::/48", "2001:db8:122:c000:2:2100::"],
    ["2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"],
    ["2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"],
    ["2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"],
    ["64:ff9b::/96", "64:ff9b::192.0.2.33"],
  ])("finds 192.0.2.33 behind %s", (prefix, address) => {
    expect(findTranslated(makeIp(address), [cidr(prefix)])?.text).toBe("192.0.2.33");
  });

  test("finds nothing in other addresses", () => {
    for (const text of ["192.0.2.33", "64:ff9b:1::192.0.2.33", "64:ff9b:0:0:1::1", "2001:db8::1"])
      expect(findTranslated(makeIp(text), WELL_KNOWN_PREFIX)).toBeUndefined();
  });
});

test("isNat64Prefix() takes the six lengths of RFC 6052, with bits 64 to 71 zero", () => {
  for (const text of [
    "2001:db8::/32",
    "2001:db8::/40",
    "2001:db8::/48",
    "2001:db8::/56",
    "2001:db8::/64",
    "2001:db8::/96",
  ])
    expect(isNat64Prefix(cidr(text))).toBe(true);
  for (const text of ["2001:db8::/33", "2001:db8::/128", "10.0.0.0/32", "2001:db8:0:0:100::/96", "::/0"])
    expect(isNat64Prefix(cidr(text))).toBe(false);
});

test("classifyThrough() judges by the IPv4 address inside where a translator is known", () => {
  const own = [cidr("2001:db8:64::/96"), ...WELL_KNOWN_PREFIX];
  for (const [text, kind] of [
    ["64:ff9b::5db8:d822", "public"],
    ["64:ff9b::a00:1", "private"],
    ["64:ff9b::7f00:1", "loopback"],
    ["64:ff9b::a9fe:a9fe", "metadata"],
    ["64:ff9b:1::5db8:d822", "nat64"],
    ["2002:5db8:d822::1", "6to4"],
    ["2001::1", "teredo"],
    ["2001:db8:64::5db8:d822", "public"],
    ["2001:db8:64::a00:1", "private"],
    ["2001:db8:65::a00:1", "documentation"],
  ] as const)
    expect(classifyThrough(makeIp(text), own).kind).toBe(kind);
});

test("evaluateAddress() does not walk through the rules to find the one that came first", () => {
  const rules = Array.from({ length: 2000 }, (_, at) => denyRule(`r${at}`, `d${at}.example`, `[64:ff9b::a00:${at}]`));
  const policy = makePolicy([...rules, denyRule("inside", "10.0.0.0/8"), denyRule("outside", "64:ff9b::/96")]);
  let read = 0;
  const counted = new Proxy(policy.rules, {
    get(list, key, receiver) {
      read += 1;
      return Reflect.get(list, key, receiver) as unknown;
    },
  });
  const asked = { ...policy, rules: counted };
  const decide = (target: string) => evaluateAddress(asked, makeQuery(target), WELL_KNOWN_PREFIX);
  expect(decide("[64:ff9b::10.1.0.1]:443")).toMatchObject({ decision: { rule: "inside" } });
  expect(decide("[64:ff9b::192.0.2.1]:443")).toMatchObject({ decision: { rule: "outside" } });
  expect(decide("[64:ff9b::a00:7]:443")).toMatchObject({ decision: { rule: "r7" } });
  expect(read).toBeLessThan(60);
});
