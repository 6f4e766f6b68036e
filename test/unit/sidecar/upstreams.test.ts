import { describe, expect, test } from "bun:test";
import { grantAll } from "../../support/sidecar-tokens.ts";
import { createSidecarApp } from "../../../src/sidecar/sidecar-app.ts";
import type { ChoiceQuestion } from "../../../src/sidecar/read-query.ts";
import type { UpstreamControl } from "../../../src/sidecar/upstreams.ts";
import { makeMemberState, makePoolState } from "../../support/make-pool-state.ts";

const withToken = { headers: { Authorization: "Bearer t" } };

/** A sidecar of a proxy with a pool and a plain upstream; `done` is what it was asked to do. */
function makeApp(members = [makeMemberState("[2001:db8::7]:1080"), makeMemberState("b", { disabled: true })]) {
  const done: unknown[] = [];
  const upstreams: UpstreamControl = {
    list: () => [
      makePoolState("exits", members),
      { name: "corp", kind: "http", address: "proxy.corp.example:3128", dialling: 0, dialled: 7, failed: 1 },
    ],
    disable: (pool, member, disabled) => {
      done.push([pool, member, disabled]);
      return members.find(({ name }) => name === member)?.disabled !== disabled;
    },
    choose: (pool, question: ChoiceQuestion) => {
      done.push([pool, question]);
      return [{ member: "b", why: "next in turn" }];
    },
  };
  const app = createSidecarApp(
    {
      readiness: () => ({ ready: true }),
      effectiveConfig: () => ({}),
      metricsText: () => "",
      tunnels: () => [],
      kill: () => 0,
      upstreams,
    },
    { tokens: grantAll("t") },
  );
  const ask = async (path: string, method = "GET") => {
    const response = await app.request(path, { method, ...withToken });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return { app, ask, done };
}

describe("GET /upstreams", () => {
  test("shows every upstream, and of each member all that is known", async () => {
    const { status, body } = await makeApp([
      makeMemberState("a", {
        health: "ejected",
        reason: "connection_refused",
        sinceMs: 4000.4,
        leftMs: 5999.5,
        failed: 3,
        ejections: 1,
        latencyMs: { p50: 1.23456, p99: 20, average: 2 },
      }),
    ]).ask("/upstreams");
    expect(status).toBe(200);
    expect(body).toEqual({
      upstreams: [
        {
          name: "exits",
          kind: "pool",
          balance: "round-robin",
          waiting: 0,
          sessions: 0,
          members: [
            {
              name: "a",
              health: "ejected",
              reason: "connection_refused",
              last_change: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
              since_ms: 4000,
              ejected_for_ms: 6000,
              disabled: false,
              backup: false,
              weight: 1,
              max_connections: 0,
              connections: 0,
              dialling: 0,
              dialled: 0,
              failed: 3,
              failures_in_a_row: 0,
              ejections: 1,
              latency_ms: { p50: 1.235, p99: 20, average: 2 },
            },
          ],
        },
        { name: "corp", kind: "http", address: "proxy.corp.example:3128", dialling: 0, dialled: 7, failed: 1 },
      ],
    });
  });

  test("shows one upstream by its name", async () => {
    expect((await makeApp().ask("/upstreams/corp")).body).toMatchObject({ name: "corp", dialled: 7 });
  });

  test("answers 404 with the names that there are", async () => {
    const { status, body } = await makeApp().ask("/upstreams/exit%22s");
    expect(status).toBe(404);
    expect(body).toMatchObject({
      detail: 'There is no upstream "exit\\"s". Known are exits, corp.',
      known: ["exits", "corp"],
    });
  });

  test("names a hundred of many members", async () => {
    const many = Array.from({ length: 1000 }, (_, at) => makeMemberState(`m${at}`));
    const { body } = await makeApp(many).ask("/upstreams/exits/nobody/disable", "POST");
    expect(body["detail"]).toEndWith("m98, m99 and 900 more.");
  });
});

describe("POST /upstreams/NAME/MEMBER/disable and enable", () => {
  test("take a member whose name is encoded, and show it", async () => {
    const { ask, done } = makeApp();
    const path = `/upstreams/exits/${encodeURIComponent("[2001:db8::7]:1080")}/disable`;
    const { status, body } = await ask(path, "POST");
    expect([status, done]).toEqual([200, [["exits", "[2001:db8::7]:1080", true]]]);
    expect(body).toMatchObject({ changed: true, member: { name: "[2001:db8::7]:1080" } });
  });

  test("say when there was nothing to change", async () => {
    const { ask } = makeApp();
    expect((await ask("/upstreams/exits/b/disable", "POST")).body).toMatchObject({ changed: false });
    expect((await ask("/upstreams/exits/b/enable", "POST")).body).toMatchObject({ changed: true });
  });

  test.each([
    ["/upstreams/exit/b/disable", 'There is no upstream "exit". Known are exits, corp.'],
    ["/upstreams/exits/c/enable", 'The upstream "exits" has no member "c". Known are [2001:db8::7]:1080, b.'],
    ["/upstreams/corp/b/disable", 'The upstream "corp" is no pool, so it has no members.'],
  ])("answer 404 and do nothing: %s", async (path, detail) => {
    const { ask, done } = makeApp();
    expect(await ask(path, "POST")).toMatchObject({ status: 404, body: { detail } });
    expect(done).toEqual([]);
  });

  test.each([
    ["GET", "/upstreams/exits/b/disable", "POST"],
    ["DELETE", "/upstreams/exits/b/enable", "POST"],
    ["POST", "/upstreams", "GET, HEAD"],
    ["POST", "/upstreams/exits", "GET, HEAD"],
    ["POST", "/upstreams/exits/choice", "GET, HEAD"],
  ])("%s %s is 405", async (method, path, allow) => {
    const { app, done } = makeApp();
    const response = await app.request(path, { method, ...withToken });
    expect([response.status, response.headers.get("Allow")]).toEqual([405, allow]);
    expect(done).toEqual([]);
  });

  test.each([
    ["GET", "/upstreams"],
    ["GET", "/upstreams/exits"],
    ["GET", "/upstreams/exits/choice?host=example.org"],
    ["POST", "/upstreams/exits/b/disable"],
    ["POST", "/upstreams/exits/b/enable"],
  ])("%s %s asks for the token", async (method, path) => {
    const { app, done } = makeApp();
    expect((await app.request(path, { method })).status).toBe(401);
    expect(done).toEqual([]);
  });
});

describe("GET /upstreams/NAME/choice", () => {
  test("tells whom a request would be led to", async () => {
    const { ask, done } = makeApp();
    const { body } = await ask("/upstreams/exits/choice?host=EXAMPLE.org&user=alice&client=192.0.2.1");
    expect(body).toEqual({ choice: [{ member: "b", why: "next in turn" }] });
    expect(done).toEqual([["exits", { client: "192.0.2.1", user: "alice", host: "example.org" }]]);
  });

  test.each([
    ["user=alice", "Missing host"],
    ["host=a%20b", "is no host"],
    ["host=example.org&client=here", "is no IP address"],
    ["host=example.org&port=1", "There is no parameter"],
  ])("says what is wrong with ?%s", async (query, part) => {
    const { status, body } = await makeApp().ask(`/upstreams/exits/choice?${query}`);
    expect([status, String(body["detail"]).includes(part)]).toEqual([400, true]);
  });
});
