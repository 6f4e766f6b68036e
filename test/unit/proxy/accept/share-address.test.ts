import { expect, test } from "bun:test";
import { shareAddress } from "../../../../src/proxy/accept/share-address.ts";
import { makeIp } from "../../../support/make-policy.ts";

test("shareAddress() gives one object for equal addresses, and forgets rather than grows", () => {
  const first = shareAddress(makeIp("192.0.2.1"));
  expect(shareAddress(makeIp("192.0.2.1"))).toBe(first);
  for (let index = 0; index < 2000; index++) shareAddress(makeIp(`10.0.${index >> 8}.${index & 255}`));
  expect(shareAddress(makeIp("192.0.2.1"))).not.toBe(first);
  expect(shareAddress(makeIp("192.0.2.1"))).toEqual(first);
});
