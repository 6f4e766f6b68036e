import { describe, expect, test } from "bun:test";

import { suggest } from "../../../src/config/suggest.ts";

const known = ["listen", "limits", "users", "upstream", "upstreams"];

describe("suggest()", () => {
  test.each([
    ["lisen", "listen"],
    ["lsiten", "listen"],
    ["LISTEN", "listen"],
    ["user", "users"],
    ["upstrem", "upstream"],
    ["upstreamz", "upstream"],
  ])("finds for %p the word %p", (found, nearest) => {
    expect(suggest(found, known)).toBe(` Did you mean "${nearest}"?`);
  });

  test.each(["", "x", "colour", "constructor", "a".repeat(10_000)])("says nothing where nothing is near", (found) => {
    expect(suggest(found, known)).toBe("");
  });
});
