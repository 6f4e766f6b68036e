import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import type { PoolPlan } from "../../../src/proxy/route/pool-plan.ts";
import { makeAuthority } from "../../support/certificate-authority.ts";
import { keepUnchanged } from "../../../src/proxy/keep-unchanged.ts";
import { compileForTest, listCompileProblems } from "../../support/compile-for-test.ts";

function problemsOf(upstreams: unknown): string[] {
  const checked = checkConfig({ upstreams });
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

function compilePools(upstreams: object): Record<string, PoolPlan> {
  const compiled = compileForTest({ upstreams }).runtime.upstreams;
  return Object.fromEntries([...compiled].filter(([, plan]) => plan.kind === "pool")) as Record<string, PoolPlan>;
}

const one = "http://a:1";

describe("a pool in the configuration", () => {
  test("has the defaults of its settings", () => {
    expect(compilePools({ exits: { pool: [one] } })["exits"]).toMatchObject({
      name: "exits",
      balance: "round-robin",
      hash: "user",
      eject: { failures: 3, forMs: 10_000, maxMs: 600_000, statuses: new Set() },
      attempts: 3,
      waitMs: 0,
      slowStartMs: 0,
      members: [{ name: "a:1", weight: 1, maxConnections: 0, backup: false, way: { name: "exits/a:1", kind: "http" } }],
    });
  });

  test("takes the settings of an upstream for a member, and names of its own", () => {
    const { exits } = compilePools({
      exits: {
        pool: [
          "socks5h://10.0.0.7:1080",
          { url: "https://[::1]:8443", username: "u", password: "p", serverName: "b", weight: 3, maxConnections: 200 },
          { url: one, name: "spare", backup: true },
        ],
        balance: "least-connections",
        hash: "user",
        sticky: { by: "client", for: "5m" },
        health: { probe: { get: "http://example.org/x?y", status: [204] } },
        eject: { statuses: [403, 429] },
        wait: "2s",
        slowStart: "30s",
      },
    });
    expect(exits?.members).toMatchObject([
      { name: "10.0.0.7:1080", way: { kind: "socks5h" } },
      {
        name: "[::1]:8443",
        weight: 3,
        maxConnections: 200,
        way: { tls: { serverName: "b" }, credentials: { user: "u" } },
      },
      { name: "spare", backup: true },
    ]);
    expect(exits).toMatchObject({
      sticky: { by: "client", forMs: 300_000 },
      health: { probe: { kind: "get", path: "/x?y", statuses: new Set([204]) }, everyMs: 10_000, rise: 2, fall: 3 },
      eject: { statuses: new Set([403, 429]) },
      waitMs: 2000,
      slowStartMs: 30_000,
    });
  });

  test("names other upstreams and pools, which are the same objects everywhere", () => {
    const upstreams = { outer: { pool: ["inner", "corp", "direct"] }, inner: { pool: [one] }, corp: "http://c:1" };
    const compiled = compileForTest({ upstreams }).runtime.upstreams;
    const outer = compiled.get("outer") as PoolPlan;
    expect(outer.members.map(({ name }) => name)).toEqual(["inner", "corp", "direct"]);
    expect(outer.members.map(({ way }) => way)).toEqual([
      compiled.get("inner") as PoolPlan,
      compiled.get("corp") as never,
      "direct",
    ]);
  });

  test.each([
    [["b:1"], "The URL has no scheme."],
    [[one, one], 'Found the member "a:1" twice.'],
    [["nobody"], 'There is no upstream "nobody".'],
    [["constructor"], 'There is no upstream "constructor".'],
    [["exits"], 'The pool "exits" would be a member of itself.'],
    [[{ weight: 2 }], 'Found neither "url" nor "upstream".'],
    [[{ url: one, upstream: "x" }], 'Found both "url" and "upstream".'],
    [[{ upstream: "direct", username: "u" }], "It belongs to a URL."],
    [[{ url: one, weight: 0 }], "Write a whole number from 1 to 1000."],
    [[{ url: one, ca: "x.pem" }], "The upstream is of kind http, without TLS."],
    [[], "Found an empty list."],
    [one, "Put brackets around it."],
  ])("refuses the members %j: %s", (pool, message) => {
    expect(problemsOf({ exits: { pool } }).join("\n")).toContain(message);
  });

  test.each([
    [{ balance: "fastest" }, 'Write one of "round-robin"'],
    [{ sticky: { by: "cookie" } }, 'Write one of "user"'],
    [{ eject: { for: "1h", max: "1m" } }, 'which is shorter than "for"'],
    [{ health: { probe: { connect: "x" } } }, "is no host with a port"],
    [{ health: { probe: { get: "https://x/" } } }, "is no URL to ask for"],
    [{ health: { probe: { get: "http://u:secret@x/" } } }, "is no URL to ask for"],
    [{ health: { probe: { connect: "a:1", get: "http://a/" } } }, 'Found both "connect" and "get".'],
    [{ health: { probe: { connect: "a:1", status: [200] } } }, 'It is for "get" only.'],
    [{ health: { probe: "udp" } }, 'Write "tcp".'],
    [{ attempts: 0 }, "Write a whole number from 1 to 20."],
    [{ url: one }, "There is no such setting."],
  ])("refuses the settings %j: %s", (settings, message) => {
    expect(problemsOf({ exits: { pool: [one], ...settings } }).join("\n")).toContain(message);
  });

  test("refuses pools in pools that lead to more than 10,000 members, where they begin to", () => {
    const nest = (depth: number): Record<string, unknown> => ({
      p0: { pool: [one] },
      ...Object.fromEntries(
        Array.from({ length: depth }, (_, at) => {
          const inner = `p${at}`;
          return [`p${at + 1}`, { pool: [inner, { upstream: inner, name: "again" }] }];
        }),
      ),
    });
    expect(problemsOf(nest(13))).toEqual([]);
    const problems = problemsOf(nest(300));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith('upstreams.p14.pool: The pools in "p14" lead to more than 10000 members');
    const flat = { exits: { pool: Array.from({ length: 12_000 }, (_, at) => `http://a:${at + 1}`) } };
    expect(problemsOf(flat)).toEqual([]);
  });

  test("finds a circle of pools, and each pool in it", () => {
    const circle = { a: { pool: ["b"] }, b: { pool: ["c"] }, c: { pool: ["a", one] }, d: { pool: ["a"] } };
    const found = problemsOf(circle).filter((problem) => problem.includes("member of itself"));
    expect(found.map((problem) => problem.slice(0, 20))).toEqual([
      "upstreams.a.pool[0]:",
      "upstreams.b.pool[0]:",
      "upstreams.c.pool[0]:",
    ]);
  });

  test("with a function as balance is no member of another one", () => {
    const upstreams = { a: { pool: [one], balance: () => undefined }, b: { pool: ["a"] } };
    expect(problemsOf(upstreams)).toEqual([
      'upstreams.b.pool[0]: A function chooses in the pool "a": it cannot be a member. Choose its balance by name.',
    ]);
  });

  test("shows no password of a member, neither in the effective configuration nor in a message", () => {
    const secret = "hunter2";
    const upstreams = {
      exits: { pool: [`http://u:${secret}@a:1`, { url: one, name: "x", username: "u", password: secret }] },
    };
    const compiled = compileForTest({ upstreams });
    expect(JSON.stringify(compiled.effective)).not.toContain(secret);
    expect(compiled.secrets).toContain(secret);
    for (const broken of [`htp://u:${secret}@a:1`, `u:${secret}@a:1`, `http://u:${secret}@a`])
      for (const member of [broken, { url: broken }, { upstream: broken }])
        expect(problemsOf({ exits: { pool: [member] } }).join("\n")).not.toContain(secret);
    expect(listCompileProblems({ upstreams: { exits: { pool: [`http://a%3Ab:${secret}@a:1`] } } })).toEqual([
      "upstreams.exits.pool[0]: The user name has a colon, which Basic and Digest cannot carry (RFC 7617). Ask for a user name without one.",
    ]);
  });

  test("reads secrets and certificates of members like those of upstreams", () => {
    const upstreams = { exits: { pool: [{ url: one, username: "u", password: { env: "EXIT" } }] } };
    const pool = compileForTest({ upstreams }, { variables: { EXIT: "from outside" } }).runtime.upstreams.get("exits");
    const way = (pool as PoolPlan).members[0]?.way;
    if (typeof way !== "object" || way.kind === "pool") throw new Error("The member is no upstream");
    expect(way.credentials?.password.reveal()).toBe("from outside");
  });

  test("has new certificates for its members, and stays what it is without", async () => {
    await using authority = await makeAuthority();
    await using other = await makeAuthority();
    const upstreams = {
      exits: { pool: [{ url: "https://a:443", ca: "ca.pem" }, one] },
      outer: { pool: ["exits"] },
      other: { pool: [one] },
    };
    const files = new Map([["ca.pem", authority.cert]]);
    const { runtime, trustFiles } = compileForTest({ upstreams }, { files });
    const renewed = trustFiles?.recompile(new Map([["ca.pem", other.cert]]), 0);
    if (renewed?.ok !== true) throw new Error("The new certificate cannot be used");
    const next = renewed.value.runtime(runtime).upstreams;
    const [exits, outer] = [next.get("exits"), next.get("outer")] as [PoolPlan, PoolPlan];
    expect(exits.members[0]?.way).toMatchObject({ tls: { ca: [other.cert] } });
    expect(outer.members[0]?.way).toBe(exits);
    expect(exits.members[1]).toBe((runtime.upstreams.get("exits") as PoolPlan).members[1] as never);
    expect(next.get("other")).toBe(runtime.upstreams.get("other") as never);
  });

  test("keeps the objects of unchanged members at a reload, and has those of changed ones", () => {
    const compile = (weight: number) =>
      compileForTest({
        upstreams: { exits: { pool: [{ url: one, weight }, "http://b:1"] }, outer: { pool: ["exits"] } },
      }).runtime;
    const [before, same, changed] = [compile(1), compile(1), compile(2)];
    const exits = (runtime: typeof before) => runtime.upstreams.get("exits") as PoolPlan;
    expect(exits(keepUnchanged(before, same)).members[0]?.way).toBe(exits(before).members[0]?.way as never);
    const next = keepUnchanged(before, changed);
    expect(exits(next).members).toMatchObject([{ weight: 2 }, { weight: 1 }]);
    expect(exits(next).members[1]?.way).toBe(exits(before).members[1]?.way as never);
    expect((next.upstreams.get("outer") as PoolPlan).members[0]?.way).toBe(exits(next));
  });

  test("keeps a hop whose user name has placeholders as long as they stay the same", () => {
    const compile = (username: string) =>
      compileForTest({
        users: [{ name: "alice", password: "pw" }],
        auth: { parameters: ["session"] },
        upstreams: { exits: { url: one, username, password: "pw" } },
      }).runtime;
    const [before, same, changed] = [compile("c-{session}"), compile("c-{session}"), compile("d-{session}")];
    const hop = before.upstreams.get("exits");
    expect(keepUnchanged(before, same).upstreams.get("exits")).toBe(hop as never);
    expect(keepUnchanged(before, changed).upstreams.get("exits")).not.toBe(hop as never);
  });
});

test("a pool that goes by sessions needs the parameter of that name in user names", () => {
  const pool = ["http://a.example:1", "http://b.example:1"];
  const exits = { pool, sticky: { by: "session" }, balance: "hash", hash: "session" };
  const users = [{ name: "alice", password: "pw" }];
  expect(checkConfig({ users, auth: { parameters: ["session"] }, upstreams: { exits } })).toMatchObject({ ok: true });
  const message = 'There is no parameter "session". Add it to "auth.parameters".';
  expect(checkConfig({ users, auth: { parameters: ["country"] }, upstreams: { exits } })).toMatchObject({
    ok: false,
    problems: [
      { path: ["upstreams", "exits", "sticky", "by"], message },
      { path: ["upstreams", "exits", "hash"], message },
    ],
  });
});
