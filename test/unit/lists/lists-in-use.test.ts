import { describe, expect, test } from "bun:test";

import { ListsInUse } from "../../../src/lists/lists-in-use.ts";
import { evaluate } from "../../../src/proxy/policy/evaluate.ts";
import type { Policy } from "../../../src/proxy/policy/policy.ts";
import type { FetchOrder, Fetched } from "../../../src/net/http/fetch-text.ts";
import type { ListsPlan } from "../../../src/lists/list-source.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { makeQuery } from "../../support/make-policy.ts";
import { waitFor } from "../../support/wait-for.ts";

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

const url = "https://lists.example/list.txt";
const key = `url ${url}`;

/** Lists in use, and a server of one of them, whose answers have tags. */
function makeFetchedLists(text: string, firstFetchMs = 60_000) {
  const server = { text, orders: [] as FetchOrder[], told: [] as string[] };
  let policy: Policy | undefined;
  const lists = new ListsInUse({
    tell: (message) => server.told.push(message),
    turn: () => new Promise<void>((resolve) => setImmediate(resolve)),
    use: (next) => (policy = next),
    async fetch(order): Promise<Fetched> {
      server.orders.push(order);
      const etag = String(Bun.hash(server.text));
      if (order.etag === etag) return { kind: "unchanged" };
      return { kind: "content", bytes: Buffer.from(server.text), etag, lastModified: undefined };
    },
    random: () => 0,
    keep: () => Promise.resolve(),
    firstFetchMs,
  });
  return {
    lists,
    server,
    /** Compiles a configuration as a reload does it: with what is in use, where its rules accept that. */
    prepare: async (rule: object, change: (plan: ListsPlan) => ListsPlan = (plan) => plan) => {
      const raw = {
        listen: ["127.0.0.1:0"],
        users: [{ name: "ann", password: "one" }],
        rules: [rule],
        default: "deny",
      };
      const compiled = compileForTest(raw, { findLastList: (each) => lists.read(each) });
      const prepared = await lists.prepare(compiled.lists && change(compiled.lists));
      return () => {
        policy = prepared.policy ?? compiled.runtime.policy;
        prepared.commit();
      };
    },
    judge(target: string) {
      const found = policy && evaluate(policy, makeQuery(target));
      return found?.kind === "decided" ? `${found.decision.verdict} ${found.decision.rule}` : found?.kind;
    },
    [Symbol.dispose]: () => lists.close(),
  };
}

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
