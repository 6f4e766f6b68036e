import { describe, expect, test } from "bun:test";
import { Secret } from "../../../../src/secret.ts";
import { createUserStore, type ListStore } from "../../../../src/proxy/auth/user-store.ts";

function createStore(users: Record<string, string>): ListStore {
  const result = createUserStore(
    Object.entries(users).map(([name, password]) => ({
      name,
      password: new Secret(password),
    })),
  );
  if (!result.ok || result.store.kind !== "list") throw new Error(JSON.stringify(result));
  return result.store;
}

function listProblems(...users: [string, string][]): string[] {
  const result = createUserStore(users.map(([name, password]) => ({ name, password: new Secret(password) })));
  return result.ok ? [] : result.problems.map(({ index, message }) => `${index}: ${message}`);
}

describe("createUserStore()", () => {
  test("finds users by exact name", () => {
    const store = createStore({ alice: "pw", __proto__x: "pw" });
    expect(store.find("alice")?.known).toBe(true);
    expect(store.find("Alice")?.known).toBe(false);
    expect(store.find("__proto__")?.known).toBe(false);
    expect(store.find("constructor")?.known).toBe(false);
  });

  test("compares plain passwords", () => {
    const found = createStore({ alice: "p\u00e4ss" }).find("alice");
    if (found?.record.kind !== "plain") throw new Error("not plain");
    expect(found.record.matches(new Secret("p\u00e4ss"))).toBe(true);
    expect(found.record.matches(new Secret("p\u00e4s"))).toBe(false);
    expect(found.record.matches(new Secret(""))).toBe(false);
  });

  test("gives an unknown user always the same decoy, one of the known users", () => {
    const names = Array.from({ length: 20 }, (_, index) => `user${index}`);
    const store = createStore(Object.fromEntries(names.map((name) => [name, `password of ${name}`])));
    const records = names.map((name) => store.find(name)?.record);
    const decoys = Array.from({ length: 200 }, (_, index) => store.find(`nobody${index}`)?.record);
    expect(decoys.every((decoy) => records.includes(decoy))).toBe(true);
    expect(new Set(decoys).size).toBeGreaterThan(10);
    expect(decoys).toEqual(decoys.map((_, index) => store.find(`nobody${index}`)?.record));
    expect(store.find("nobody0")?.record === store.find("nobody0")?.record).toBe(true);
  });

  test("finds nobody when there are no users", () => {
    expect(createStore({}).find("alice")).toBeUndefined();
  });

  test("tells all problems at once, each with its index, none with a password", () => {
    const problems = listProblems(
      ["ok", "pw"],
      ["", "hunter2"],
      ["a:b", "hunter2"],
      ["ok", "hunter2"],
      ["x", ""],
      ["y", "$1$hunter2"],
      ["z", "hunter2\n"],
    );
    expect(problems).toEqual([
      '1: "" is not a user name. Wanted are 1 to 255 bytes without colon or control characters.',
      '2: "a:b" is not a user name. Wanted are 1 to 255 bytes without colon or control characters.',
      '3: "ok" is in the list twice. Remove one of them.',
      '4: "x" has an empty password.',
      '5: "y" has a hash of the kind "$1$". Wanted is bcrypt ("htpasswd -B") or argon2id ("penstock passwd").',
      '6: "z" has a password with control characters. No client can send it.',
    ]);
  });
});
