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

  test("finds the one word that begins so", () => {
    expect(suggest("pass", ["url", "username", "password"])).toBe(' Did you mean "password"?');
    expect(suggest("ups", known)).toBe("");
  });

  test.each([
    ["opne", ["open", "listen"]],
    ["alow", ["allow"]],
    ["allowprivat", ["allowPrivate"]],
    ["dirct", ["direct", "corp"]],
    ["1.4", ["1.0", "1.1", "1.2", "1.3"]],
    ["--insecur", ["--insecure"]],
    ["OPN", ["OPEN"]],
    ["of", ["json", "off"]],
  ])("does not propose for %p what would let more through", (found, words) => {
    expect(suggest(found, words)).toBe("");
  });

  test.each(["", "x", "colour", "constructor", "a".repeat(10_000)])("says nothing where nothing is near", (found) => {
    expect(suggest(found, known)).toBe("");
  });
});
