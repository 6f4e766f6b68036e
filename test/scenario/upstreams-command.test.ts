import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { rules, startPool, stateOf, useTunnel } from "../support/pool-proxy.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const variables = { PENSTOCK_SIDECAR_TOKEN: "scenario-token" };

/** Runs `penstock upstreams` against the sidecar of a proxy. */
async function run(proxy: TestProxy, ...args: string[]) {
  const io = createFakeIo({ variables });
  const sidecar = `http://127.0.0.1:${proxy.daemon.sidecar?.port}`;
  const code = await runCli(["upstreams", ...args, "--sidecar", sidecar], io);
  return { code, printed: io.printed(), told: io.told };
}

/** A proxy with a member that is down, one that works, and a backup. */
async function startStand() {
  const dead = await reserveClosedPort();
  const good = await startConnectUpstream();
  const proxy = await startPool(
    {
      pool: [
        { url: `http://127.0.0.1:${dead}`, name: "dead" },
        { url: `http://127.0.0.1:${good.port}`, name: "good", weight: 5, maxConnections: 100 },
        { upstream: "direct", backup: true },
      ],
      balance: "first",
      eject: { failures: 2, for: "5m" },
    },
    { rules },
  );
  return {
    proxy,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await good[Symbol.asyncDispose]();
    },
  };
}

describe("penstock upstreams", () => {
  test("shows a table of 80 columns with the health of each member, and the log has the change", async () => {
    using echo = listenEcho();
    await using stand = await startStand();
    const { proxy } = stand;
    for (let at = 0; at < 3; at++) await useTunnel(proxy, echo.port);
    const { code, printed, told } = await run(proxy);
    expect([code, told]).toEqual([0, []]);
    const lines = printed.split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines[0]).toBe("exits  pool: first, 2 of 3 members healthy");
    expect(lines[1]).toBe("  MEMBER                   HEALTH   SINCE  CONNS  FAILED EJECTED P50/P99 MS");
    expect(lines[2]).toMatch(/^ {2}dead +ejected +[0-9]+m?s +0 +2 +1 +-$/);
    expect(lines[3]).toMatch(/^ {4}connection_refused, for another [45]m$/);
    expect(lines[4]).toMatch(/^ {2}good +healthy +[0-9]+m?s +[0-9]+\/100 +0 +0 +[0-9.]+\/[0-9.]+$/);
    expect(lines[5]).toBe("    weight 5");
    expect(lines[7]).toBe("    backup");
    expect(lines[6]).toStartWith("  direct ");
    expect(proxy.messages.filter((message) => message.startsWith("Upstream"))).toEqual([
      "Upstream exits: dead is ejected for 300 s after 2 failures (connection_refused).",
    ]);
  });

  test("disables and enables members, and says what they still have", async () => {
    using echo = listenEcho();
    await using stand = await startStand();
    const { proxy } = stand;
    await run(proxy, "--disable", "exits/dead");
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    using _ = peer;
    expect(await run(proxy, "--disable", "exits/good")).toEqual({
      code: 0,
      printed: "",
      told: ["exits/good is disabled. Connections through it: 1."],
    });
    expect((await run(proxy, "--disable", "exits/good")).told[0]).toStartWith(
      "exits/good is disabled, as it was before.",
    );
    peer.write("still there");
    await peer.untilText("still there");
    await useTunnel(proxy, echo.port);
    expect(await proxy.record(0)).toMatchObject({ member: "exits/direct" });
    expect((await run(proxy, "--enable", "exits/good", "--enable", "exits/dead")).told).toEqual([
      "exits/good is enabled.",
      "exits/dead is enabled.",
    ]);
    expect(proxy.messages).toContain("Upstream exits: good is disabled (by an operator).");
    expect(stateOf(proxy, 1)).toMatchObject({ health: "healthy", disabled: false });
  });

  test("prints JSON for machines", async () => {
    await using stand = await startStand();
    const { proxy } = stand;
    const all = JSON.parse((await run(proxy, "--json")).printed) as { upstreams: unknown[] };
    expect(all.upstreams).toMatchObject([{ name: "exits", members: [{ name: "dead" }, { name: "good" }, {}] }]);
    expect(JSON.parse((await run(proxy, "exits", "--json")).printed)).toMatchObject({ name: "exits", kind: "pool" });
    expect(JSON.parse((await run(proxy, "--disable", "exits/good", "--json")).printed)).toMatchObject([
      { upstream: "exits", changed: true, member: { name: "good", disabled: true } },
    ]);
  });

  test("shows plain upstreams as a line each", async () => {
    using echo = listenEcho();
    await using corp = await startConnectUpstream();
    await using proxy = await startProxy({
      upstreams: { corp: `http://127.0.0.1:${corp.port}` },
      rules,
      default: "corp",
    });
    await useTunnel(proxy, echo.port);
    expect((await run(proxy)).printed).toBe(`corp  http://127.0.0.1:${corp.port}: 1 dial, 0 failed, 0 under way\n`);
    expect(await proxy.metrics()).toContain('penstock_upstream_dials_total{upstream="corp",result="ok"} 1\n');
  });

  test("shows the upstreams of the environment under the names of their variables", async () => {
    using echo = listenEcho();
    await using corp = await startConnectUpstream();
    const url = `http://127.0.0.1:${corp.port}`;
    for (const [set, lines] of [
      [{ HTTPS_PROXY: url, http_proxy: "http://127.0.0.1:9" }, ["https_proxy", "http_proxy"]],
      [{ ALL_PROXY: url }, ["all_proxy"]],
    ] as const) {
      await using proxy = await startProxy({ upstream: "environment", rules }, { variables: set });
      await useTunnel(proxy, echo.port);
      const shown = (await run(proxy)).printed.split("\n").filter((line) => line !== "");
      expect(shown.map((line) => line.split(" ")[0])).toEqual([...lines]);
      expect(shown[0]).toEndWith(`  ${url}: 1 dial, 0 failed, 0 under way`);
    }
  });

  test.each([
    [["--disable", "good"], 2, '--disable is "good". Wanted is UPSTREAM/MEMBER, as in exits/10.0.0.7:1080.'],
    [["--disable", "exits/"], 2, '--disable is "exits/". Wanted is UPSTREAM/MEMBER, as in exits/10.0.0.7:1080.'],
    [["--disable", "exits/good", "--enable", "exits/good"], 2, 'Found "exits/good" twice. Name each member once.'],
    [["exits", "--disable", "exits/good"], 2, "Found a NAME beside --disable or --enable. Leave it out."],
    [["exit"], 1, 'The sidecar refused (404): There is no upstream "exit". Known are exits.'],
    [
      ["--enable", "exits/bad"],
      1,
      'The sidecar refused (404): The upstream "exits" has no member "bad". Known are dead, good, direct.',
    ],
  ])("says what is wrong: %j", async (args, code, message) => {
    await using stand = await startStand();
    expect(await run(stand.proxy, ...args)).toEqual({ code, printed: "", told: [message] });
  });

  test("says that there are none", async () => {
    await using proxy = await startProxy();
    expect(await run(proxy)).toEqual({
      code: 0,
      printed: "",
      told: ["The configuration of the running proxy has no upstreams."],
    });
  });
});

test("what operators decided and what is known of members outlives a reload", async () => {
  using echo = listenEcho();
  await using stand = await startStand();
  const { proxy } = stand;
  await run(proxy, "--disable", "exits/good");
  for (let at = 0; at < 2; at++) await useTunnel(proxy, echo.port);
  const before = (await (await proxy.ask("/config")).json()) as { upstreams: Record<string, { pool: unknown[] }> };
  expect(before.upstreams["exits"]?.pool).toHaveLength(3);
  await proxy.reload({
    upstreams: { exits: { pool: ["http://127.0.0.1:9", { upstream: "direct", backup: true }], balance: "random" } },
    rules,
    default: "exits",
  });
  const shown = (await (await proxy.ask("/upstreams/exits")).json()) as { members: unknown[] };
  expect(shown).toMatchObject({
    balance: "random",
    members: [{ name: "127.0.0.1:9" }, { name: "direct", dialled: 2 }],
  });
  expect((await proxy.ask("/upstreams/exits/good/enable", "POST")).status).toBe(404);
  expect(await proxy.metrics()).not.toContain('member="good"');
});
