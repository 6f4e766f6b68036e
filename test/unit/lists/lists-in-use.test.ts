import { describe, expect, test } from "bun:test";

import { ListsInUse } from "../../../src/lists/lists-in-use.ts";
import { evaluate } from "../../../src/proxy/policy/evaluate.ts";
import type { Policy } from "../../../src/proxy/policy/policy.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { makeQuery } from "../../support/make-policy.ts";

/** Two lists of an allowing rule, and one of a denying one. */
function compile(texts: Readonly<Record<string, string>> = {}) {
  const rules = [
    { to: [{ file: "deny" }], deny: true },
    { to: [{ file: "a" }, { file: "b" }], allow: true },
  ];
  const files = new Map(Object.entries({ a: "a.example\n", b: "b.example\n", deny: "ads.example\n", ...texts }));
  const { lists } = compileForTest({ rules, default: "deny" }, { files });
  if (lists === undefined) throw new Error("There are lists");
  return lists;
}

async function follow(lists: ListsInUse, plan: ReturnType<typeof compile> | undefined): Promise<void> {
  (await lists.prepare(plan)).commit();
}

/** Lists in use, with what became of them. */
async function makeLists(turn: () => Promise<void> = () => Promise.resolve()) {
  const told: string[] = [];
  const policies: Policy[] = [];
  const kept = new Map<string, string>();
  const lists = new ListsInUse({
    tell: (message, level) => told.push(`${level}: ${message}`),
    turn,
    use: (policy) => policies.push(policy),
    fetch: () => Promise.resolve({ kind: "failed", why: "is not asked for" }),
    random: () => 0,
    keep: async (key, text) => void kept.set(key, text),
  });
  await follow(lists, compile());
  const allows = (target: string) => {
    const found = evaluate(policies.at(-1) as Policy, makeQuery(target));
    return found.kind === "decided" && found.decision.verdict === "allow";
  };
  const replace = (name: string, text: string) => lists.replace(`file ${name}`, { ok: true, text });
  return { lists, told, policies, allows, replace, kept };
}

describe("lists in use", () => {
  test("are replaced one by one, and the others stay", async () => {
    const { replace, allows, told, kept } = await makeLists();
    await replace("a", "c.example\n");
    expect(["a.example:1", "b.example:1", "c.example:1"].map(allows)).toEqual([false, true, true]);
    expect(told).toEqual(['info: Read the list "a" again.']);
    expect(Object.fromEntries(kept)).toEqual({
      "file a": "c.example\n",
      "file b": "b.example\n",
      "file deny": "ads.example\n",
    });
  });

  test("stay as they were when the new one is wrong, is empty where it denies, or is gone", async () => {
    const { lists, replace, policies, told } = await makeLists();
    await replace("a", "c.example\nb c\n");
    await replace("deny", "# nothing\n");
    await lists.replace("file b", { ok: false, reason: "there is no such file or folder" });
    expect(policies).toEqual([]);
    expect(told).toEqual([
      'error: Cannot use the new list "a". The one before stays in use:',
      'error:   /etc/penstock/a:2: "b c" has more than one entry. Write one a line.',
      'error: Cannot use the new list "deny". The one before stays in use:',
      "error:   /etc/penstock/deny: The list has no entries, so that a rule would deny nothing by it. Write one, or take the list out.",
      'error: Cannot use the new list "b". The one before stays in use:',
      'error:   Cannot read "b": there is no such file or folder.',
    ]);
  });

  test("are told to be wrong once, and when they are right again", async () => {
    const { replace, policies, told } = await makeLists();
    await replace("a", "b c\n");
    await replace("a", "b c\n");
    await replace("a", "a.example\n");
    await replace("a", "a.example\n");
    expect(policies).toEqual([]);
    expect(told.slice(2)).toEqual(['info: The list "a" can be used again, and is as before.']);
  });

  test("that change while rules are compiled are in the next ones together", async () => {
    const gate = Promise.withResolvers<void>();
    const long = Array.from({ length: 20_000 }, (_, at) => `n${at}.example\n`).join("");
    const { replace, allows, policies } = await makeLists(() => gate.promise);
    const first = replace("a", `${long}c.example\n`);
    const second = replace("b", "d.example\n");
    const third = replace("b", "e.example\n");
    gate.resolve();
    await Promise.all([first, second, third]);
    expect(["c.example:1", "n7.example:1", "e.example:1", "d.example:1"].map(allows)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(policies.length).toBeLessThan(4);
  });

  test("of a configuration that a reload replaced are not put into effect", async () => {
    const gate = Promise.withResolvers<void>();
    const long = Array.from({ length: 20_000 }, (_, at) => `n${at}.example\n`).join("");
    const { lists, replace, policies } = await makeLists(() => gate.promise);
    const late = replace("a", long);
    await follow(lists, compile({ a: "new.example\n" }));
    gate.resolve();
    await late;
    expect(policies).toEqual([]);
    await follow(lists, undefined);
    await replace("a", "x.example\n");
    expect(policies).toEqual([]);
  });
});
