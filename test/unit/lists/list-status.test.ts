import { describe, expect, test } from "bun:test";

import type { ListsPlan } from "../../../src/lists/list-source.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { key, makeFetchedLists, makeLists, url } from "../../support/lists-stand.ts";

describe("how lists are", () => {
  test("is told by what was counted when each was read, and by events", async () => {
    const { lists, replace, changes, clock } = await makeLists();
    const [deny, , b] = [0, 1, 2].map((at) => lists.statuses[at]);
    expect(deny).toEqual({ name: "deny", state: "good", entries: 1, failures: 0, readAt: 1000 });
    expect(b).toEqual({ name: "b", state: "good", entries: 1, failures: 0, readAt: 1000 });
    clock.now = 2000;
    await replace("a", "# two\nc.example\nd.example\n");
    await replace("deny", "");
    await replace("deny", "");
    clock.now = 3000;
    await replace("deny", "ads.example\n");
    await lists.replace("file b", { ok: false, reason: "there is no such file or folder" });
    const gone = 'Cannot read "b": there is no such file or folder.';
    expect(lists.statuses).toEqual([
      { name: "deny", state: "good", entries: 1, failures: 2, readAt: 3000 },
      { name: "a", state: "good", entries: 2, failures: 0, readAt: 2000 },
      { name: "b", state: "failing", entries: 1, failures: 1, readAt: 1000, fault: gone },
    ]);
    expect(changes).toEqual([
      { change: "read", list: "a", entries: 2 },
      {
        change: "failed",
        list: "deny",
        why: "/etc/penstock/deny: The list has no entries, so that a rule would deny nothing by it. Write one, or take the list out.",
        failures: 1,
        in_use: true,
      },
      { change: "recovered", list: "deny", entries: 1 },
      { change: "failed", list: "b", why: gone, failures: 1, in_use: true },
    ]);
  });

  test("costs no look at their texts", async () => {
    using made = makeFetchedLists("a.example\n");
    let checks = 0;
    const change = (plan: ListsPlan): ListsPlan => ({
      ...plan,
      // As of a text with a million lines.
      *check() {
        checks += 1;
        yield undefined;
        return { faults: [], entries: 1_000_000 };
      },
    });
    (await made.prepare({ to: [{ url }], allow: true }, change))();
    for (let at = 0; at < 1000; at++) expect(made.lists.statuses).toMatchObject([{ entries: 1_000_000 }]);
    expect(checks).toBe(1);
    expect(made.server.changes).toEqual([{ change: "read", list: url, entries: 1_000_000 }]);
  });

  test("stays known over a reload, and that a text was kept by an earlier process", async () => {
    using made = makeFetchedLists("a.example\n");
    const rule = { to: [{ url }], allow: true };
    (await made.prepare(rule))();
    made.server.now = 5000;
    await made.lists.replace(key, { ok: false, reason: "no" });
    (await made.prepare({ ...rule, name: "new" }))();
    expect(made.lists.statuses).toMatchObject([{ state: "failing", entries: 1, failures: 1, readAt: 1000 }]);
    const { lists: plan } = compileForTest({ rules: [rule], default: "deny" }, { findLastList: () => "b.example\n" });
    expect([plan?.entries.get(key), plan?.kept.has(key)]).toEqual([1, true]);
  });

  test("has a bounded number of names, each once, and none with the query of a URL", async () => {
    const { lists } = await makeLists();
    const to = Array.from({ length: 130 }, (_, at) => ({
      url: `https://lists.example/${at < 2 ? `?key=k${at}` : at}`,
    }));
    const { lists: plan } = compileForTest({ rules: [{ to, allow: true }] });
    (
      await lists.prepare(plan && { ...plan, texts: new Map(plan.sources.map(({ key: each }) => [each, "x"])) })
    ).commit();
    lists.close();
    const names = lists.statuses.map(({ name }) => name);
    expect(names.slice(0, 3)).toEqual([
      "https://lists.example/?…",
      "https://lists.example/?… (2)",
      "https://lists.example/2",
    ]);
    expect([names.length, names.at(-1), new Set(names).size]).toEqual([101, "other", 101]);
  });
});
