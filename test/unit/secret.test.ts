import { expect, test } from "bun:test";
import { inspect } from "node:util";
import { Secret } from "../../src/secret.ts";

const secret = new Secret("hunter2");

test("a Secret gives its text to reveal() alone", () => {
  expect(secret.reveal()).toBe("hunter2");
});

test("a Secret is [redacted] however it is printed", () => {
  expect(String(secret)).toBe("[redacted]");
  expect(`${secret}`).toBe("[redacted]");
  expect(JSON.stringify({ secret })).toBe('{"secret":"[redacted]"}');
  expect(inspect({ secret })).not.toContain("hunter2");
  expect(inspect(secret)).toBe("[redacted]");
  expect(Bun.inspect([secret])).not.toContain("hunter2");
  expect(Object.keys(secret)).toEqual([]);
});
