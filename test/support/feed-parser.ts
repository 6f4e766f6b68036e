import { expect } from "bun:test";
import type { Parsed } from "../../src/protocol/parsed.ts";

/**
 * Feeds `bytes` to an incremental parser whole, in every prefix, and with
 * trailing bytes, and expects one outcome of all three: `more` for each
 * prefix before the decision and the same decision ever after.
 */
export function feedParser<T, Code extends string>(
  parse: (bytes: Uint8Array) => Parsed<T, Code>,
  bytes: Uint8Array,
): Parsed<T, Code> {
  const whole = parse(bytes);
  let decided = false;
  for (let length = 0; length < bytes.length; length += 1) {
    const part = parse(bytes.slice(0, length));
    if (part.kind === "more") expect(decided).toBe(false);
    else {
      decided = true;
      expect<unknown>(part).toEqual(whole);
    }
  }
  if (whole.kind !== "more") {
    expect<unknown>(parse(Buffer.concat([bytes, Buffer.from("\x05\x00GET / trailing")]))).toEqual(whole);
  }
  return whole;
}
