import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";

/** Enough that comparing each entry with each would not end in time, and that a call with all as arguments would fail. */
const MANY = 70_000;
const list = (entry: (at: number) => unknown): unknown[] => Array.from({ length: MANY }, (_, at) => entry(at));

describe("checkConfig() on long lists", () => {
  test("tells of every entry that is wrong, by its index", () => {
    const checked = checkConfig({ rules: [{ to: list((at) => `a${at}..example`), deny: true }] });
    const problems = checked.ok ? [] : checked.problems;
    expect(problems).toHaveLength(MANY);
    expect(problems.at(-1)?.path).toEqual(["rules", 0, "to", MANY - 1]);
    expect(problems.at(-1)?.message).toStartWith(`"a${MANY - 1}..example" cannot be matched`);
  });

  test("finds the users of a long list in a long list of users", () => {
    const users = list((at) => ({ name: `u${at}`, password: "x" }));
    const known = checkConfig({ users, rules: [{ users: list((at) => `u${at}`), deny: true }] });
    expect(known.ok).toBe(true);
  });

  test("suggests the nearest user for the first that do not exist, and tells of all of them", () => {
    const users = Array.from({ length: 100 }, (_, at) => ({ name: `user${at}`, password: "x" }));
    const wrong = users.map(({ name }) => `${name}x`);
    const checked = checkConfig({ users, rules: [{ users: wrong, deny: true }] });
    const problems = checked.ok ? [] : checked.problems;
    expect(problems).toHaveLength(100);
    expect(problems[0]?.message).toBe('There is no user "user0x". Did you mean "user0"?');
    expect(problems[99]?.message).toBe('There is no user "user99x".');
  });

  test("tells the same whether a list is checked whole or piece by piece", () => {
    const names = Array.from({ length: 1000 }, (_, at) => ({ name: `u${at}`, password: "x" }));
    const problemsOf = (raw: unknown) => {
      const checked = checkConfig(raw);
      return checked.ok ? [] : checked.problems.map(({ path, message }) => [path.join("."), message.slice(0, 20)]);
    };
    const target = (at: number) => (at === 777 ? "a..b" : `a${at}.example`);
    const to = Array.from({ length: 1000 }, (_, at) => target(at));
    expect(problemsOf({ rules: [{ to, deny: true }] })).toEqual([["rules.0.to.777", '"a..b" cannot be mat']]);
    expect(problemsOf({ users: [...names, { name: "u3", password: "y" }] })).toEqual([
      ["users.1000.name", 'Found the user "u3" '],
    ]);
    expect(problemsOf({ users: names.with(500, { name: "a:b", password: "y" }) })).toEqual([
      ["users.500.name", "A text has a colon, "],
    ]);
    expect(problemsOf({ users: [...names, null] })).toHaveLength(1);
    const ranges = [...Array.from({ length: 100 }, (_, at) => `10.0.0.${at}`), "a.example"];
    expect(problemsOf({ rules: [{ to: ranges, from: ranges, deny: true }] }).map(([path]) => path)).toEqual([
      "rules.0.from.100",
    ]);
    const checked = checkConfig({ users: names, rules: [{ users: names.map(({ name }) => name), deny: true }] });
    expect(checked.ok && checked.value.users).toEqual(names);
  });
});
