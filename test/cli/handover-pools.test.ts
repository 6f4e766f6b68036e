import { expect, setDefaultTimeout, test } from "bun:test";
import { createStarter } from "../../src/cli/start-successor.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import type { Member } from "../../src/proxy/upstream/member.ts";
import { openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { type ConnectUpstream, startConnectUpstream } from "../support/connect-upstream.ts";
import { startProxy } from "../support/proxy.ts";
import { type Family, startFamily, writeConfig } from "../support/proxy-family.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

// Each starts several processes.
setDefaultTimeout(30_000);

interface Shown {
  readonly name: string;
  readonly sessions?: number;
  readonly members: readonly {
    readonly name: string;
    readonly health: string;
    readonly disabled: boolean;
    readonly connections: number;
    readonly ejections: number;
    readonly latency_ms?: { readonly p50: number; readonly p99: number };
  }[];
}

async function ask(folder: TemporaryFolder, path: string, method = "GET"): Promise<Shown> {
  const headers = { Authorization: "Bearer t0ken" };
  const answer = await fetch(`http://localhost${path}`, { unix: `${folder.path}/s.sock`, method, headers });
  return (await answer.json()) as Shown;
}

/** Opens a tunnel to each target and closes it. */
async function visit(family: Family, targets: readonly string[]): Promise<void> {
  for (const target of targets) {
    using peer = await openTunnel(family.port, target);
    peer.reset();
  }
}

/** Which of the upstreams each target was asked of last. */
function findOwners(upstreams: readonly ConnectUpstream[]): Map<string, number> {
  return new Map(upstreams.flatMap(({ asked }, at) => asked.map((target) => [target, at] as const)));
}

test("a hand-over keeps the sessions, the health and the latency of the members of pools, twice in a row", async () => {
  using echo = listenEcho();
  await using one = await startConnectUpstream();
  await using two = await startConnectUpstream();
  await using three = await startConnectUpstream();
  const upstreams = [one, two, three];
  const pool = upstreams.map(({ port }, at) => ({ name: `m${at}`, url: `http://127.0.0.1:${port}` }));
  const exits = { pool, balance: "random", sticky: { by: "target", for: "1h" } };
  await using folder = await makeFolder(
    writeConfig({ upstreams: { exits }, rules: [{ to: ["*"], allowPrivate: true, via: "exits" }] }),
  );
  await using family = await startFamily(folder, [await findExecutable()]);
  const targets = Array.from({ length: 60 }, (_, at) => `h${at}.example:${echo.port}`);
  await visit(family, targets);
  const before = findOwners(upstreams);
  using moving = await openTunnel(family.port, targets[0] as string);
  const state = await ask(folder, "/upstreams/exits");
  await ask(folder, "/upstreams/exits/m2/disable", "POST");

  for (let times = 1; times <= 2; times += 1) {
    const from = family.pids.at(-1) ?? 0;
    expect((await family.handOver()).code).toBe(0);
    await family.untilGone(from);
    const after = await ask(folder, "/upstreams/exits");
    expect(after.sessions).toBe(60);
    expect(after.members.map(({ name, disabled }) => [name, disabled])).toEqual([
      ["m0", false],
      ["m1", false],
      ["m2", true],
    ]);
    expect(after.members.reduce((all, { connections }) => all + connections, 0)).toBe(1);
    for (const [at, { latency_ms: latency }] of state.members.entries())
      expect(after.members[at]?.latency_ms?.p50).toBeCloseTo(latency?.p50 ?? 0, 1);
  }
  await ask(folder, "/upstreams/exits/m2/enable", "POST");
  for (const { asked } of upstreams) asked.length = 0;
  await visit(family, targets);
  expect(findOwners(upstreams)).toEqual(before);
  moving.write("still here");
  await moving.untilText("still here");
});

test("a hand-over keeps the health of the proxies that a PAC file named, and counts their tunnels", async () => {
  using echo = listenEcho();
  await using good = await startConnectUpstream();
  const dead = await reserveClosedPort();
  const source = `function FindProxyForURL() { return "PROXY 127.0.0.1:${dead}; PROXY 127.0.0.1:${good.port}"; }`;
  const config = writeConfig({
    upstreams: { corp: { pac: "proxy.pac" } },
    rules: [{ to: ["127.0.0.1"], allowPrivate: true, via: "corp" }],
  });
  await using folder = await makeFolder({ ...config, "proxy.pac": source });
  await using family = await startFamily(folder, [await findExecutable()]);
  const target = `127.0.0.1:${echo.port}`;
  using moving = await openTunnel(family.port, target);
  await ask(folder, `/upstreams/corp/${encodeURIComponent(`http://127.0.0.1:${dead}`)}/disable`, "POST");
  expect((await family.handOver()).code).toBe(0);
  await family.untilGone(family.first.pid);
  expect(await ask(folder, "/upstreams/corp")).toMatchObject({
    kind: "pac",
    members: [
      { name: `http://127.0.0.1:${dead}`, health: "disabled", ejections: 1 },
      {
        name: `http://127.0.0.1:${good.port}`,
        health: "healthy",
        connections: 1,
        latency_ms: { p50: expect.any(Number) },
      },
    ],
  });
  await visit(family, [target]);
  expect(good.asked).toHaveLength(2);
  moving.write("still here");
  await moving.untilText("still here");
});

test("a hand-over of two full tables of sessions keeps all of them, those that were used last at once", async () => {
  const pool = ["http://127.0.0.1:1", "http://127.0.0.1:2"];
  const sticky = { by: "user", for: "1h" } as const;
  await using folder = await makeFolder({});
  const config: PenstockConfig = {
    listen: ["127.0.0.1:0"],
    upstreams: { one: { pool, sticky }, two: { pool, sticky } },
    log: { access: "off" },
    sidecar: { unix: `${folder.path}/s.sock`, token: "t0ken" },
  };
  await Bun.write(`${folder.path}/proxy.config.json`, JSON.stringify(config));
  // Otherwise its messages are among those of the test.
  const script = ["-c", 'exec "$0" serve 2>/dev/null', await findExecutable()];
  const start = createStarter({ program: "/bin/sh", script, args: [], folder: folder.path, variables: process.env });
  const daemon = { successors: { start, onHandedOver: () => {}, onResumed: () => {} } };
  await using old = await startProxy(config, { daemon });
  const nameOf = (at: number): string => `customer-${at}-with-a-long-name@example.org`;
  for (const name of ["one", "two"]) {
    const each = old.daemon.pools.get(name);
    if (each === undefined) throw new Error("There is no pool");
    for (let at = 0; at < 60_000; at += 1) each.bind(`user ${nameOf(at)}`, each.members[at % 2] as Member);
  }
  const outcome = await old.daemon.handOver("SIGUSR2");
  if (outcome.kind !== "done") throw new Error(JSON.stringify(outcome));
  try {
    const choose = async (name: string, at: number) =>
      ask(folder, `/upstreams/${name}/choice?host=a.example&user=${encodeURIComponent(nameOf(at))}`);
    for (const at of [59_998, 59_999])
      expect(await choose("two", at)).toMatchObject({
        choice: [{ member: pool[at % 2]?.slice(7), why: "the session of the user has it" }, {}],
      });
    await old.daemon.ended;
    for (const name of ["one", "two"]) {
      expect(await ask(folder, `/upstreams/${name}`)).toMatchObject({ sessions: 60_000 });
      for (let at = 0; at < 60_000; at += 6007)
        expect(await choose(name, at)).toMatchObject({ choice: [{ member: pool[at % 2]?.slice(7) }, {}] });
    }
  } finally {
    process.kill(outcome.pid, "SIGKILL");
  }
});
