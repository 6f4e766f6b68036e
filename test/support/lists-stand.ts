import type { FetchOrder, Fetched } from "../../src/net/http/fetch-text.ts";
import type { ListsPlan } from "../../src/lists/list-source.ts";
import type { ListChange } from "../../src/lists/list-status.ts";
import { ListsInUse } from "../../src/lists/lists-in-use.ts";
import { evaluate } from "../../src/proxy/policy/evaluate.ts";
import type { Policy } from "../../src/proxy/policy/policy.ts";
import { compileForTest } from "./compile-for-test.ts";
import { makeQuery } from "./make-policy.ts";

/** Two lists of an allowing rule, and one of a denying one. */
export function compileLists(texts: Readonly<Record<string, string>> = {}) {
  const rules = [
    { to: [{ file: "deny" }], deny: true },
    { to: [{ file: "a" }, { file: "b" }], allow: true },
  ];
  const files = new Map(Object.entries({ a: "a.example\n", b: "b.example\n", deny: "ads.example\n", ...texts }));
  const { lists } = compileForTest({ rules, default: "deny" }, { files });
  if (lists === undefined) throw new Error("There are lists");
  return lists;
}

/** Puts a configuration into effect. */
export async function followLists(lists: ListsInUse, plan: ReturnType<typeof compileLists> | undefined): Promise<void> {
  (await lists.prepare(plan)).commit();
}

/** Lists in use, with what became of them. */
export async function makeLists(turn: () => Promise<void> = () => Promise.resolve(), tidyMs = 3_600_000) {
  const told: string[] = [];
  const policies: Policy[] = [];
  const kept = new Map<string, string>();
  const tidied: (readonly string[])[] = [];
  const changes: ListChange[] = [];
  const clock = { now: 1000 };
  const lists = new ListsInUse({
    tell: (message, level) => told.push(`${level}: ${message}`),
    turn,
    use: (policy) => policies.push(policy),
    fetch: () => Promise.resolve({ kind: "failed", why: "is not asked for" }),
    random: () => 0,
    keep: async (key, text) => void kept.set(key, text),
    tidy: async (keys) => void tidied.push(keys),
    tidyMs,
    publish: (change) => changes.push(change),
    now: () => clock.now,
  });
  await followLists(lists, compileLists());
  const allows = (target: string) => {
    const found = evaluate(policies.at(-1) as Policy, makeQuery(target));
    return found.kind === "decided" && found.decision.verdict === "allow";
  };
  const replace = (name: string, text: string) => lists.replace(`file ${name}`, { ok: true, text });
  return { lists, told, policies, allows, replace, kept, tidied, changes, clock };
}

/** A list, and its key. */
export const url = "https://lists.example/list.txt";
export const key = `url ${url}`;

/** Lists in use, and a server of one of them, whose answers have tags. */
export function makeFetchedLists(text: string, firstFetchMs = 60_000) {
  const server = { text, orders: [] as FetchOrder[], told: [] as string[], changes: [] as ListChange[], now: 1000 };
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
    tidy: () => Promise.resolve(),
    publish: (change) => server.changes.push(change),
    now: () => server.now,
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
