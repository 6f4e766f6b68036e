import { describe, expect, test } from "bun:test";

import type { ListsPlan } from "../../../src/lists/list-source.ts";
import { compileLists, followLists, key, makeFetchedLists, makeLists, url } from "../../support/lists-stand.ts";
import { waitFor } from "../../support/wait-for.ts";

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

  test("say from time to time which ones they are, so that copies of others can go", async () => {
    const { lists, tidied } = await makeLists(undefined, 5);
    await waitFor(() => tidied.length > 0, "the first time");
    expect(tidied[0]).toEqual(["file deny", "file a", "file b"]);
    await followLists(lists, undefined);
    await waitFor(() => tidied.at(-1)?.length === 0, "a time without lists");
    lists.close();
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
    await followLists(lists, compileLists({ a: "new.example\n" }));
    gate.resolve();
    await late;
    expect(policies).toEqual([]);
    await followLists(lists, undefined);
    await replace("a", "x.example\n");
    expect(policies).toEqual([]);
  });
});

/** Has a step of a plan wait until it is released. */
function hold(step: "check" | "compile") {
  const held = { isReached: false, isReleased: false };
  const wait = function* () {
    held.isReached = true;
    while (!held.isReleased) yield undefined;
  };
  const change = (plan: ListsPlan): ListsPlan => ({
    ...plan,
    *check(each, text) {
      if (step === "check") yield* wait();
      return yield* plan.check(each, text);
    },
    *compile(texts) {
      if (step === "compile") yield* wait();
      return yield* plan.compile(texts);
    },
  });
  return { held, change };
}

describe("a list at a URL", () => {
  test.each([
    [
      "no entry, to a rule that denies",
      "# none\n",
      { to: [{ url }], allow: true },
      { to: [{ url }], deny: true },
      "deny rule-1",
    ],
    [
      "users, to their targets",
      "Ann Smith\n",
      { users: [{ url }], allow: true },
      { to: [{ url }], allow: true },
      "deny default",
    ],
  ])("of %s is unknown after a reload, and fetched as a whole", async (_, text, before, after, verdict) => {
    using made = makeFetchedLists(text);
    (await made.prepare(before))();
    expect(made.lists.read(key)).toBe(text);
    (await made.prepare(after))();
    expect(made.lists.read(key)).toBeUndefined();
    expect(made.judge("x.example:443")).toBe(verdict);
    expect(made.server.orders.map(({ etag }) => etag)).toEqual([undefined, undefined]);
    expect(made.server.told.filter((each) => !each.startsWith(" "))).toEqual([
      `Cannot use the new list ${url}. Until there is one, rules that allow by it match nothing, and rules that deny by it refuse everything:`,
    ]);
  });

  const often = { to: [{ url, every: "20ms" }], allow: true };

  test("that is fetched while a configuration is prepared is in effect after it", async () => {
    using made = makeFetchedLists("a.example\n");
    (await made.prepare(often))();
    const commit = await made.prepare({ ...often, name: "new" });
    made.server.text = "b.example\n";
    await waitFor(() => made.judge("b.example:443") === "allow rule-1", "the new list");
    commit();
    await waitFor(() => made.judge("b.example:443") === "allow new", "the new list with the new rules");
    expect(made.lists.read(key)).toBe("b.example\n");
  });

  test("that is fetched while a configuration is prepared is fetched as a whole when the new rules refuse it", async () => {
    using made = makeFetchedLists("a.example\n");
    (await made.prepare(often))();
    const commit = await made.prepare({ to: often.to, deny: true });
    made.server.text = "# none\n";
    await waitFor(() => made.lists.read(key) === "# none\n", "the new list");
    commit();
    const at = made.server.orders.length;
    await waitFor(() => made.server.orders.length > at, "the next order");
    expect(made.server.orders[at]?.etag).toBeUndefined();
    expect(made.lists.read(key)).toBe("a.example\n");
    expect(made.server.told.join("\n")).toContain("The one before stays in use:");
  });

  test("is not in effect when a reload comes while its rules are compiled", async () => {
    using made = makeFetchedLists("a.example\n");
    const rule = { to: [{ url }], allow: true };
    const { held, change } = hold("compile");
    held.isReleased = true;
    (await made.prepare(rule, change))();
    const commit = await made.prepare(rule);
    Object.assign(held, { isReached: false, isReleased: false });
    const late = made.lists.replace(key, { ok: true, text: "b.example\n" });
    await waitFor(() => held.isReached, "compiling");
    commit();
    held.isReleased = true;
    expect(await late).toBe(false);
    await waitFor(() => made.judge("b.example:443") === "allow rule-1", "the new list with the new rules");
  });

  test("whose first text is being checked when its configuration comes into effect is used", async () => {
    using made = makeFetchedLists("a.example\n", 1);
    const { held, change } = hold("check");
    const commit = await made.prepare({ to: [{ url }], allow: true }, change);
    await waitFor(() => held.isReached, "the check");
    commit();
    expect(made.lists.read(key)).toBeUndefined();
    held.isReleased = true;
    await waitFor(() => made.judge("a.example:443") === "allow rule-1", "the list");
  });
});
