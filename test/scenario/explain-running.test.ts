import { describe, expect, test } from "bun:test";
import { answerQuestion, asking, connectAsking, findQuestion, statusOf } from "../support/approvals.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";

const resolver = createFakeResolver({ "a.example": ["9.9.9.9"], "b.example": ["9.9.9.10"] });

/** What the running proxy says of a target. */
async function explain(
  proxy: TestProxy,
  target: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Record<string, unknown>> {
  const answer = await proxy.ask(`/explain?${String(new URLSearchParams({ target, ...more }))}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

async function refusal(proxy: TestProxy, query: string): Promise<[status: number, detail: unknown]> {
  const answer = await proxy.ask(`/explain${query}`);
  return [answer.status, ((await answer.json()) as Record<string, unknown>)["detail"]];
}

describe("GET /explain", () => {
  test("says what the proxy would do with a tunnel, and why", async () => {
    const rules = [
      { name: "no-mail", to: ["*:25"], deny: true },
      { name: "ci", users: ["ci"], to: ["a.example:443"], from: ["10.0.0.0/8"], allow: true },
    ];
    const users = [{ name: "ci", password: "secret-of-ci" }];
    await using proxy = await startProxy({ users, rules, default: "deny" }, { resolver });
    expect(await explain(proxy, "https://a.example/x", { user: "ci", from: "10.0.0.7" })).toMatchObject({
      target: "a.example:443",
      client: "10.0.0.7",
      user: "ci",
      rule: "ci",
      verdict: "allowed",
      allowed: true,
      rules: [
        { rule: 1, name: "no-mail", outcome: "differs" },
        { rule: 2, name: "ci", outcome: "decides" },
      ],
    });
    expect(await explain(proxy, "a.example:25", { user: "ci", from: "10.0.0.7" })).toMatchObject({
      allowed: false,
      status: 403,
      detail: "denied_by_rule",
      rule: "no-mail",
    });
    expect(await explain(proxy, `127.0.0.1:${proxy.port}`, { user: "ci" })).toMatchObject({ allowed: false });
  });

  test("knows the lists from URLs that are in effect, and names the line", async () => {
    const served = { text: "a.example\n" };
    using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response(served.text) });
    const url = `http://127.0.0.1:${server.port}/list.txt`;
    const config = { rules: [{ name: "listed", to: [{ url, every: "50ms" }], allow: true }], default: "deny" };
    await using proxy = await startProxy(config, { resolver });
    expect(await explain(proxy, "a.example")).toMatchObject({ allowed: true, lists: [`to: ${url}, line 1`] });
    expect(await explain(proxy, "b.example")).toMatchObject({ allowed: false, detail: "denied_by_default" });
    served.text = "# one\nb.example\n";
    await waitFor(() => proxy.messages.some((each) => each.startsWith("Read the list")), "the new list");
    expect(await explain(proxy, "b.example")).toMatchObject({ allowed: true, lists: [`to: ${url}, line 2`] });
    expect(await explain(proxy, "a.example")).toMatchObject({ allowed: false });
  });

  test("says so of a list that has no content yet", async () => {
    using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("no", { status: 503 }) });
    const url = `http://127.0.0.1:${server.port}/list.txt`;
    await using proxy = await startProxy({ rules: [{ to: [{ url }], deny: true }] }, { resolver });
    expect(await explain(proxy, "a.example")).toMatchObject({
      allowed: false,
      detail: "list_unavailable",
      notes: [`the list ${url} has no content yet`],
    });
  });

  test("knows what an operator has answered, and uses no answer up", async () => {
    await using upstream = await startConnectUpstream();
    using echo = listenEcho();
    await using proxy = await startProxy(asking(upstream, { timeouts: { ask: "30s" } }));
    const target = `new.example:${echo.port}`;
    const ask = () => explain(proxy, target, { user: "ann" });
    expect(await ask()).toMatchObject({ allowed: false, asks: true, verdict: "an operator is asked" });
    const first = await connectAsking(proxy, target);
    const { id } = await findQuestion(proxy, target);
    first[Symbol.dispose]();
    await findQuestion(proxy, target, 0);
    await answerQuestion(proxy, id, { allow: true, for: "once" });
    for (const _ of [1, 2])
      expect(await ask()).toMatchObject({ allowed: true, notes: ["an operator has approved it"] });
    using second = await connectAsking(proxy, target);
    expect(await statusOf(second)).toBe("200");
    expect(await ask()).toMatchObject({ asks: true });
    expect(await explain(proxy, target, { user: "bob" })).toMatchObject({ asks: true });
    using third = await connectAsking(proxy, target);
    await answerQuestion(proxy, (await findQuestion(proxy, target)).id, { allow: false, for: "10m" });
    expect(await statusOf(third)).toBe("403");
    expect(await ask()).toMatchObject({ allowed: false, status: 403, detail: "approval_denied" });
  });

  test("knows the members of pools as they are", async () => {
    const pool = ["http://203.0.113.8:3128", "http://203.0.113.9:3128"];
    const upstreams = { exits: { pool, balance: "first" as const } };
    await using proxy = await startProxy({ upstreams, default: "exits" }, { resolver });
    const chosen = async () => (await explain(proxy, "a.example"))["pools"];
    expect(await chosen()).toMatchObject([{ name: "exits", asked: true, chosen: { member: "203.0.113.8:3128" } }]);
    await proxy.ask("/upstreams/exits/203.0.113.8:3128/disable", "POST");
    expect(await chosen()).toMatchObject([{ name: "exits", asked: true, chosen: { member: "203.0.113.9:3128" } }]);
  });

  test("answers few questions at once, each of which may wait for a function", async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    let asked = 0;
    const rules = [
      async () => {
        asked += 1;
        return promise;
      },
    ];
    await using proxy = await startProxy({ rules, default: "deny" }, { resolver });
    const open = Array.from({ length: 4 }, () => explain(proxy, "a.example"));
    await waitFor(() => asked === 4, "four questions");
    const fifth = await proxy.ask("/explain?target=a.example");
    expect([fifth.status, fifth.headers.get("Retry-After")]).toEqual([429, "1"]);
    resolve(undefined);
    for (const each of open) expect(await each).toMatchObject({ allowed: false });
    expect(await explain(proxy, "a.example")).toMatchObject({ allowed: false });
  });

  test("says what is wrong with a question", async () => {
    await using proxy = await startProxy();
    expect(await refusal(proxy, "")).toEqual([400, "Missing target: host:port or a URL."]);
    expect(await refusal(proxy, "?target=a.example&from=nobody&at=noon")).toEqual([
      400,
      '"nobody" is not an IP address. Write one such as 192.0.2.1. "noon" is no time with its zone. Write one such as "2026-12-31T18:00 Europe/Berlin".',
    ]);
    expect((await refusal(proxy, "?target=a%20b"))[0]).toBe(400);
    expect(await refusal(proxy, "?target=a.example&all=yes")).toEqual([400, 'all is "yes". Wanted is true or false.']);
    expect((await refusal(proxy, "?target=a.example&port=1"))[0]).toBe(400);
    const posted = await proxy.ask("/explain?target=a.example", "POST");
    expect([posted.status, posted.headers.get("Allow")]).toEqual([405, "GET, HEAD"]);
  });
});
