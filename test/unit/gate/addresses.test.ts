import { describe, expect, test } from "bun:test";
import { KnownAddresses, OwnAddresses } from "../../../src/gate/addresses.ts";
import { makeIp } from "../../support/make-policy.ts";

function has(host: string, ...addresses: string[]): boolean[] {
  const own = new OwnAddresses();
  own.add(host, 9080);
  return addresses.map((text) => own.has(makeIp(text), 9080));
}

describe("OwnAddresses", () => {
  test("knows an address that is bound, and how else it can be written", () => {
    expect(has("127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "::")).toEqual([true, true, true, true]);
    expect(has("127.0.0.1", "127.0.0.2", "::1", "10.0.0.1")).toEqual([false, false, false]);
    expect(has("::1", "::1", "::", "127.0.0.1")).toEqual([true, true, false]);
  });

  test("takes localhost for loopback of both families", () => {
    expect(has("localhost", "127.0.0.1", "::1")).toEqual([true, true]);
  });

  test.each(["0.0.0.0", "::"])("knows all of loopback, and what the machine has, when %s is bound", (host) => {
    expect(has(host, "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::ffff:127.0.0.1")).toEqual(Array(5).fill(true));
    expect(has(host, "203.0.113.7", "2001:db8::7")).toEqual([false, false]);
  });

  test("knows ports apart", () => {
    const own = new OwnAddresses();
    own.add("0.0.0.0", 9080);
    expect(own.has(makeIp("127.0.0.1"), 9081)).toBe(false);
  });
});

test("KnownAddresses gives one object for equal addresses, and forgets rather than grows", () => {
  const addresses = new KnownAddresses();
  const first = addresses.share(makeIp("192.0.2.1"));
  expect(addresses.share(makeIp("192.0.2.1"))).toBe(first);
  for (let index = 0; index < 2000; index++) addresses.share(makeIp(`10.0.${index >> 8}.${index & 255}`));
  expect(addresses.share(makeIp("192.0.2.1"))).not.toBe(first);
  expect(addresses.share(makeIp("192.0.2.1"))).toEqual(first);
});
