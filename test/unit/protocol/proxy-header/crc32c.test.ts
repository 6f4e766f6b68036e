import { expect, test } from "bun:test";
import { computeCrc32c } from "../../../../src/protocol/proxy-header/crc32c.ts";

test("computeCrc32c() gives the check values of RFC 3720 appendix B.4", () => {
  // The RFC lists the bytes as they are sent; as numbers they read in reverse.
  expect(computeCrc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(computeCrc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(computeCrc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
  expect(computeCrc32c(Uint8Array.from({ length: 32 }, (_, index) => 31 - index))).toBe(0x113fdb5c);
  expect(computeCrc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(computeCrc32c(new Uint8Array(0))).toBe(0);
});
