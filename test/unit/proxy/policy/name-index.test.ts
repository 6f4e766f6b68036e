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

  test("takes names that were made to have one hash like any others", () => {
    const names = collide();
    // In one chain of slots, each name would be compared with all before it.
    const index = buildIndex(...names);
    expect(names).toHaveLength(65_536);
    expect(index.find(names[12_345] as string)).toEqual([12_346]);
    expect(index.find(`a${names[0]}`)).toEqual([]);
  });
});

/**
 * Pairs of parts that lead from one state of FNV-1a to the same next one, from the end of a name on; found by trial.
 * Whoever knows the states can make any number of names with one hash of them (Joux 2004).
 */
const pairs = [
  ["06rerkya", "19yl7ija"],
  ["12plqtna", "07gwp6ya"],
  ["0ex9anwa", "18h2ey9a"],
  ["0utqyxsa", "027510ya"],
  ["0fqm4e8a", "1xytkgia"],
  ["0wtz73t.", "0141d0m."],
  ["10ws0lsa", "1sazr8ma"],
  ["1px6xswa", "1x4zf7qa"],
  ["0j7s1foa", "1liaqo3a"],
  ["0pol6eoa", "0p9uypja"],
  ["1kme6uya", "04dk0sra"],
  ["1k5b6cc.", "1hvznuw."],
  ["0ivm63ua", "1fxghc7a"],
  ["0te56rsa", "1m3365la"],
  ["0cxieaxa", "1sru720a"],
  ["0y2jmb5a", "1d7kf00a"],
] as const;

function collide(): string[] {
  let names = [".example"];
  for (const [one, other] of pairs) names = names.flatMap((name) => [one + name, other + name]);
  return names;
}
