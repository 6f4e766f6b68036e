import { describe, expect, test } from "bun:test";

import { withoutRefused } from "../../../src/config/plain-data.ts";
import { copyPlainData } from "../../support/at-once.ts";
import { formatProblem } from "../../../src/config/problem.ts";

const settings = { users: [{ name: "ann", password: "s3cret" }], default: "deny" };

class Settings {
  get default() {
    return "deny";
  }
}

function makeFunction(): () => boolean {
  return () => true;
}

describe("copyPlainData()", () => {
  test("copies maps, lists, texts, numbers and functions", () => {
    const decide = makeFunction();
    const value = {
      a: [1, "b", null, undefined, true, { c: decide }],
      d: Object.assign(Object.create(null), { e: 1 }),
    };
    const copied = copyPlainData(value);
    expect(copied).toEqual({ value: { a: [1, "b", null, undefined, true, { c: decide }], d: { e: 1 } }, problems: [] });
    expect(copied.value).not.toBe(value);
  });

  test.each([
    ["class", Settings],
    ["generator", function* () {}],
    ["generator that awaits", async function* () {}],
  ])("refuses a %s in the place of a function", (_, value) => {
    for (const [map, path] of [
      [{ users: value }, "users"],
      [{ rules: [value] }, "rules[0]"],
    ] as const)
      expect(copyPlainData(map).problems.map(formatProblem)).toEqual([
        `${path}: Found a class or a generator. Write a function that gives its answer.`,
      ]);
  });

  test("takes one value in two places", () => {
    const targets = ["*.example.org"];
    expect(copyPlainData([targets, targets])).toEqual({ value: [targets, targets], problems: [] });
  });

  const sparse: unknown[] = ["a"];
  sparse[2] = "b";
  const circle: Record<string, unknown> = {};
  circle["rules"] = [circle];

  const kinds: [kind: string, value: unknown, message: string][] = [
    ["promise", Promise.resolve(settings), 'Found a promise. Write "await" before it.'],
    ["Map", new Map(Object.entries(settings)), "Found a Map."],
    ["Set", new Set(["a"]), "Found a Set."],
    ["Date", new Date(0), "Found a date."],
    ["date of TOML", Reflect.get(Bun.TOML.parse("a = 1979-05-27"), "a"), "Found a date."],
    ["URL", new URL("http://proxy.example:3128"), "Found a URL object."],
    ["regular expression", /x/, "Found a regular expression."],
    ["class instance", new Settings(), "Found an object of a class, or with inherited fields."],
    ["boxed text", Object("deny"), "Found an object of a class, or with inherited fields."],
    ["bytes", new Uint8Array(2), "Found an object of a class, or with inherited fields."],
    ["object with inherited fields", Object.create(settings), "Found an object of a class, or with inherited fields."],
    ["subclass of Array", new (class extends Array<string> {})(), "Found an object of a class, or with inherited"],
    ["Proxy", new Proxy(settings, {}), "Found a Proxy."],
    ["Proxy of a list", new Proxy([], {}), "Found a Proxy."],
    ["object with a symbol", { [Symbol("users")]: settings.users }, "Found a field whose name is a symbol."],
    ["list with more fields", Object.assign(["a"], { users: settings.users }), "Found a list that has other fields"],
  ];

  test.each(kinds)("refuses a %s at every level", (_, value, message) => {
    expect(copyPlainData(value).problems.map(formatProblem)[0]).toStartWith(message);
    expect(copyPlainData({ a: [{ b: value }] }).problems.map(formatProblem)[0]).toStartWith(`a[0].b: ${message}`);
  });

  test.each([
    [
      "getter",
      Object.defineProperty({}, "users", { get: () => settings.users, enumerable: true }),
      "users: Found a getter.",
    ],
    ["hidden field", Object.defineProperty({}, "users", { value: settings.users }), "users: Found a hidden field."],
    ["hole", { to: sparse }, "to[1]: Found a hole in the list."],
    ["circle", circle, "rules[0]: Found a value that is part of itself."],
    ["__proto__", JSON.parse('{"__proto__":{"open":true}}'), "__proto__: There is no such setting."],
  ])("refuses a %s, and names its place", (_, value, message) => {
    expect(copyPlainData(value).problems.map(formatProblem)[0]).toStartWith(message);
  });

  test("tells all of them at once, and keeps the place of each so that nobody takes it for unset", () => {
    const copied = copyPlainData({ users: new Map(), limits: new Date(0), default: "deny" });
    expect(copied.problems.map(({ path }) => path.join("."))).toEqual(["users", "limits"]);
    const value = copied.value as Record<string, unknown>;
    expect([value["users"] === undefined, value["limits"] === undefined, value["default"]]).toEqual([
      false,
      false,
      "deny",
    ]);
  });

  test("does not look at a getter's value", () => {
    let asked = 0;
    const counted = Object.defineProperty({}, "a", { enumerable: true, get: () => ++asked });
    copyPlainData(counted);
    expect(asked).toBe(0);
  });
});

test("withoutRefused() leaves out what is said of a refused value, and nothing else", () => {
  const refused = [{ path: ["users"], message: "Found a Map." }];
  const found = [["users"], ["users", 0, "name"], ["limits"], []].map((path) => ({ path, message: "Wrong." }));
  expect(withoutRefused(found, refused).map(({ path }) => path)).toEqual([["limits"], []]);
});
