import { expect, test } from "bun:test";
import { compareVersions } from "../../../src/upgrade/compare-versions.ts";

// The order of Semantic Versioning 2.0.0 §11.
const ascending = [
  "0.9.9",
  "1.0.0-alpha",
  "1.0.0-alpha.1",
  "1.0.0-alpha.beta",
  "1.0.0-beta",
  "1.0.0-beta.2",
  "1.0.0-beta.11",
  "1.0.0-rc.1",
  "1.0.0",
  "1.0.9",
  "1.0.10",
  "1.2.0",
  "10.0.0",
];

test("versions have the order of Semantic Versioning", () => {
  for (const [at, one] of ascending.entries())
    for (const [index, other] of ascending.entries())
      expect(Math.sign(compareVersions(one, other))).toBe(Math.sign(at - index));
});

test("what follows a plus says nothing", () => {
  expect(compareVersions("1.0.0+b1", "1.0.0+b2")).toBe(0);
});
