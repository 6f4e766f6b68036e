import { expect, test } from "bun:test";
import { KnownAddresses } from "../../../src/gate/known-addresses.ts";
import { makeIp } from "../../support/make-policy.ts";

test("KnownAddresses gives one object for equal addresses, and forgets rather than grows", () => {
  const addresses = new KnownAddresses();
  const first = addresses.share(makeIp("192.0.2.1"));
  expect(addresses.share(makeIp("192.0.2.1"))).toBe(first);
  for (let index = 0; index < 2000; index++) addresses.share(makeIp(`10.0.${index >> 8}.${index & 255}`));
  expect(addresses.share(makeIp("192.0.2.1"))).not.toBe(first);
  expect(addresses.share(makeIp("192.0.2.1"))).toEqual(first);
});
