import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { runSelfTest } from "../../../../src/net/splice/self-test.ts";
import { requireLibc } from "../../../support/lane-stand.ts";

test("runSelfTest() succeeds on a Linux that can splice, and tells the size of a pipe", () => {
  const result = runSelfTest();
  expect(result).toMatchObject({ ok: true });
  if (result.ok) expect(result.pipeBytes).toBeGreaterThanOrEqual(65_536);
});

test("runSelfTest() leaves no descriptor open", () => {
  requireLibc();
  const count = (): number => readdirSync("/proc/self/fd").length;
  const before = count();
  for (let round = 0; round < 20; round += 1) runSelfTest(65_536);
  expect(count()).toBe(before);
});
