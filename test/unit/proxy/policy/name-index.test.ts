import { describe, expect, test } from "bun:test";
import { NameIndexBuilder } from "../../../../src/proxy/policy/name-index.ts";

/** An index of the names; the value of each is its place in the list, from 1 on. */
function buildIndex(...names: string[]) {
  const builder = new NameIndexBuilder();
  for (const [at, name] of names.entries()) {
    const below = name.startsWith("*.");
    const entry = builder.enter(below ? name.slice(2) : name);
    (below ? builder.below : builder.exact)[entry] = at + 1;
  }
  return builder.build();
}

describe("NameIndex", () => {
  test("finds nothing when it is empty", () => {
    expect(buildIndex().find("example.org")).toEqual([]);
    expect(buildIndex().find("")).toEqual([]);
  });

  test("finds a name by all of its characters and no others", () => {
    const index = buildIndex("example.org", "org");
    expect(index.find("example.org")).toEqual([1]);
    expect(index.find("org")).toEqual([2]);
    for (const name of ["example.orh", "xample.org", "aexample.org", "a.example.org", "example.org.", "rg", ""])
      expect(index.find(name)).toEqual([]);
  });

  test("finds each suffix of a name, the shortest first, and not the suffix itself", () => {
    const index = buildIndex("*.org", "*.example.org", "*.a.example.org");
    expect(index.find("b.a.example.org")).toEqual([1, 2, 3]);
    expect(index.find("a.example.org")).toEqual([1, 2]);
    expect(index.find("aexample.org")).toEqual([1]);
    expect(index.find("org")).toEqual([]);
    expect(index.find(".org")).toEqual([]);
  });

  test("keeps a name and the names below it apart", () => {
    const index = buildIndex("example.org", "*.example.org");
    expect(index.find("example.org")).toEqual([1]);
    expect(index.find("a.example.org")).toEqual([2]);
  });

  test("finds the longest names and the deepest suffixes", () => {
    const deep = "a.".repeat(126);
    const index = buildIndex(`*.${"a.".repeat(125)}b`, `${deep}b`, "b");
    expect(index.find(`${deep}b`)).toEqual([1, 2]);
    expect(index.find("b")).toEqual([3]);
  });

  test("finds every one of many names", () => {
    const names = Array.from({ length: 5000 }, (_, at) => `${at % 3 === 0 ? "*." : ""}n${at}.z${at % 97}.example`);
    const index = buildIndex(...names);
    for (const [at, name] of names.entries()) {
      expect(index.find(name.startsWith("*.") ? `x${name.slice(1)}` : name)).toEqual([at + 1]);
      expect(index.find(`y${name.replace("*.", "")}`)).toEqual([]);
    }
  });
});
