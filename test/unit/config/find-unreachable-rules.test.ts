import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { readRules } from "../../../src/config/compile-policy.ts";
import { findUnreachableRules } from "../../support/at-once.ts";

type Settings = Readonly<Record<string, unknown>>;

const materials = { files: new Map<string, string>(), variables: {}, folder: "/", terminal: false };
const users = ["ann", "bob"].map((name) => ({ name, password: "x" }));

/** The indexes of the rules that can never match. */
function listUnreachable(...rules: (Settings | (() => undefined))[]): unknown[] {
  const checked = checkConfig({
    users,
    rules: rules.map((rule) => (typeof rule === "function" ? rule : { allow: true, ...rule })),
  });
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
  return findUnreachableRules(readRules(checked.value, materials)).map(({ path }) => path[1]);
}

describe("findUnreachableRules()", () => {
  test("names the rule and the one that comes before it", () => {
    const checked = checkConfig({
      rules: [
        { name: "web", to: ["*:443"], allow: true },
        { to: ["a.test:443"], via: "direct" },
      ],
    });
    expect(checked.ok && findUnreachableRules(readRules(checked.value, materials))).toEqual([
      {
        path: ["rules", 1],
        message:
          'The rule never matches: "web" before it decides about everything that it could match. Put it before that one, or leave it out.',
      },
    ]);
  });

  test.each<[Settings, Settings]>([
    [{}, { to: ["a.test"] }],
    [{}, {}],
    [{ to: ["*"] }, { users: ["ann"], from: ["10.0.0.0/8"], to: ["10.0.0.0/8:22"] }],
    [{ to: ["*.test"] }, { to: ["a.test", "*.a.test:443", "*.test:80"] }],
    [{ to: ["a.test", "b.test"] }, { to: ["b.test:443"] }],
    [{ to: ["*:1-1000"] }, { to: ["a.test:80,443", "*:500-1000"] }],
    [{ to: ["a.test:80", "a.test:443"] }, { to: ["a.test:80,443"] }],
    [{ to: ["10.0.0.0/8", "10.1.2.3"] }, { to: ["10.1.0.0/16", "10.1.2.3:80", "10.0.0.0/8"] }],
    [{ to: ["::/0"] }, { to: ["2001:db8::/32", "::1"] }],
    [{ users: ["ann", "bob"] }, { users: ["bob"], to: ["a.test"] }],
    [{ from: ["10.0.0.0/8"] }, { from: ["10.0.0.1", "10.2.0.0/16"] }],
    [{ to: ["*.test"], sni: "match" }, { to: ["a.test"] }],
  ])("finds that %p leaves nothing for %p", (first, second) => {
    expect(listUnreachable(first, second)).toEqual([1]);
  });

  test.each<[Settings, Settings]>([
    [{ to: ["a.test"] }, {}],
    [{ to: ["*.test"] }, { to: ["test"] }],
    [{ to: ["*.a.test"] }, { to: ["*.test"] }],
    [{ to: ["a.test"] }, { to: ["*.a.test"] }],
    [{ to: ["b.a.test"] }, { to: ["*.a.test"] }],
    [{ to: ["*:443"] }, { to: ["a.test"] }],
    [{ to: ["*:1-1000"] }, { to: ["a.test:1000-1001"] }],
    [{ to: ["10.1.0.0/16", "10.0.0.0/32"] }, { to: ["10.0.0.0/8"] }],
    [{ to: ["0.0.0.0/0"] }, { to: ["::/0"] }],
    [{ to: ["0.0.0.0/0", "::/0"] }, { to: ["a.test"] }],
    [{ users: ["ann"] }, {}],
    [{ users: ["ann"] }, { users: ["ann", "bob"] }],
    [{ from: ["10.0.0.0/8"] }, {}],
    [{ from: ["10.0.0.0/8"] }, { from: ["10.0.0.0/8", "11.0.0.1"] }],
    [{ to: ["*.test"] }, { to: ["a.test", "a.example"] }],
  ])("finds that %p leaves something for %p", (first, second) => {
    expect(listUnreachable(first, second)).toEqual([]);
  });

  test("expects a function to pass on, and to be asked only when nothing decides before it", () => {
    const pass = () => undefined;
    expect(listUnreachable(pass, {})).toEqual([]);
    expect(listUnreachable({ to: ["*:443"] }, pass)).toEqual([]);
    expect(listUnreachable({}, pass)).toEqual([1]);
  });
});
