import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { useTunnel } from "../support/pool-proxy.ts";
import { allowLoopback, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const variables = { PENSTOCK_SIDECAR_TOKEN: "scenario-token" };
const rules = [{ ...allowLoopback, via: "corp" }];
const config: PenstockConfig = { upstreams: { corp: { pac: "proxy.pac" } }, rules };

function answer(text: string): string {
  return `function FindProxyForURL(url, host) { return ${JSON.stringify(text)}; }`;
}

/** Runs a command against the sidecar of a proxy. */
async function run(proxy: TestProxy, ...args: string[]) {
  const io = createFakeIo({ variables });
  const code = await runCli([...args, "--sidecar", `http://127.0.0.1:${proxy.daemon.sidecar?.port}`], io);
  return { code, printed: io.printed(), told: io.told };
}

/** Runs `penstock explain` with the same configuration and its PAC file. */
async function explain(proxy: TestProxy, written: PenstockConfig, source: string, ...args: string[]) {
  await using folder = await makeFolder({ "proxy.config.json": written, "proxy.pac": source });
  const io = createFakeIo({ folder: folder.path, variables });
  await runCli(["explain", ...args, "--sidecar", `127.0.0.1:${proxy.daemon.sidecar?.port}`], io);
  return io.printed();
}

/** A proxy with a PAC file that names a dead proxy before a good one. */
async function startStand() {
  const dead = `127.0.0.1:${await reserveClosedPort()}`;
  const upstream = await startConnectUpstream();
  const good = `127.0.0.1:${upstream.port}`;
  const source = answer(`PROXY ${dead}; PROXY ${good}`);
  const proxy = await startProxy(config, { files: { "proxy.pac": source } });
  return {
    proxy,
    upstream,
    source,
    dead: `http://${dead}`,
    good: `http://${good}`,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

async function readPac(proxy: TestProxy): Promise<Record<string, unknown>> {
  return (await (await proxy.ask("/upstreams/corp")).json()) as Record<string, unknown>;
}

describe("an upstream with a PAC file in /upstreams", () => {
  test("has where the file is from, when it was read, how often it was asked, and the proxies that it named", async () => {
    using echo = listenEcho();
    await using stand = await startStand();
    const { proxy, dead, good } = stand;
    expect(await readPac(proxy)).toMatchObject({ queries: 0, members: [] });
    for (let at = 0; at < 3; at++) await useTunnel(proxy, echo.port);
    expect(await readPac(proxy)).toMatchObject({
      name: "corp",
      kind: "pac",
      from: expect.stringMatching(/\/proxy\.pac$/),
      usable: true,
      last_read: { at: expect.stringMatching(/Z$/), age_ms: expect.any(Number) },
      last_change: { at: expect.stringMatching(/Z$/) },
      failed_reads: 0,
      queries: 3,
      failed_queries: 0,
      evaluations: 1,
      members: [
        { name: dead, health: "ejected", reason: "connection_refused", failed: 1 },
        { name: good, health: "healthy", dialled: 3, latency_ms: { p50: expect.any(Number) } },
      ],
    });
    // Labels of metrics are names of the configuration alone.
    expect(await proxy.metrics()).not.toContain(good);
  });

  test("says what is wrong with the newest file, and shows no secret of its URL", async () => {
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("", { status: 404 }) });
    await using proxy = await startProxy({
      upstreams: { corp: { pac: `http://u:hush@127.0.0.1:${server.port}/proxy.pac?key=hush` } },
      rules,
    });
    expect((await proxy.tunnel("127.0.0.1:9")).head).toStartWith("HTTP/1.1 503 ");
    const state = await readPac(proxy);
    expect(state).toMatchObject({
      from: `http://127.0.0.1:${server.port}/proxy.pac?…`,
      usable: false,
      fault: "answered with 404",
      failed_reads: 1,
      last_failure: { reason: "answered with 404" },
      queries: 1,
      failed_queries: 1,
      evaluations: 0,
    });
    expect(JSON.stringify(state)).not.toContain("hush");
    expect((await run(proxy, "upstreams")).printed.split("\n")).toEqual([
      expect.stringMatching(/^corp {2}pac: http:\/\/127\.0\.0\.1:[0-9]+\/proxy\.pac\?…$/),
      "    no proxies so far, 1 request, 1 refused",
      "    read never, changed never",
      "    now: the file answered with 404",
      "",
    ]);
    await server.stop(true);
  });

  test("is a table for people, in 80 columns", async () => {
    using echo = listenEcho();
    await using stand = await startStand();
    const { proxy, dead, good } = stand;
    await useTunnel(proxy, echo.port);
    const lines = (await run(proxy, "upstreams")).printed.split("\n");
    expect(lines[1]).toBe("    1 of 2 proxies healthy, 1 request, 0 refused");
    expect(lines[2]).toMatch(/^ {4}read [0-9]+m?s ago, changed [0-9]+m?s ago$/);
    expect(lines[3]).toStartWith("  MEMBER ");
    expect(lines.slice(3).join("\n")).toContain(`  ${dead}`);
    expect(lines.slice(3).join("\n")).toContain(`  ${good}`);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

describe("a proxy that a PAC file named", () => {
  test("is disabled and enabled by its URL, also where it stands alone", async () => {
    using echo = listenEcho();
    await using stand = await startStand();
    const { proxy, good } = stand;
    await useTunnel(proxy, echo.port);
    const { told } = await run(proxy, "upstreams", "--disable", `corp/${good}`);
    expect(told[0]).toStartWith(`corp/${good} is disabled.`);
    expect(proxy.messages).toContain(`Upstream corp/${good}: ${good.slice(7)} is disabled (by an operator).`);
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 503 ");
    await proxy.daemon.replacePac("corp", { ok: true, text: answer(`PROXY ${good.slice(7)}`) });
    expect((await proxy.tunnel(`127.0.0.1:${echo.port}`)).head).toStartWith("HTTP/1.1 503 ");
    // It outlives a reload, and so does what is known of the other one.
    await proxy.reload({ ...config, limits: { connections: 100 } });
    expect(await readPac(proxy)).toMatchObject({
      members: [
        { name: expect.any(String), health: expect.stringMatching(/^(?:disabled|ejected)$/) },
        { name: expect.any(String), health: expect.stringMatching(/^(?:disabled|ejected)$/) },
      ],
    });
    const enabled = await proxy.ask(`/upstreams/corp/${encodeURIComponent(good)}/enable`, "POST");
    expect(await enabled.json()).toMatchObject({ changed: true, member: { name: good, health: "healthy" } });
    await proxy.daemon.replacePac("corp", { ok: true, text: answer(`PROXY ${good.slice(7)}`) });
    await useTunnel(proxy, echo.port);
  });

  test("that is not known is said to be so, and so is what has no choice to show", async () => {
    using echo = listenEcho();
    await using stand = await startStand();
    const { proxy, dead, good } = stand;
    await useTunnel(proxy, echo.port);
    expect(await run(proxy, "upstreams", "--disable", "corp/http://gone.example:1")).toEqual({
      code: 1,
      printed: "",
      told: [
        `The sidecar refused (404): The upstream "corp" is not known to have a proxy "http://gone.example:1". Known are ${dead}, ${good}.`,
      ],
    });
    const choice = await proxy.ask("/upstreams/corp/choice?host=a.example&client=127.0.0.1");
    expect(await choice.json()).toMatchObject({
      status: 404,
      detail: 'The PAC file of the upstream "corp" chooses. Ask "penstock explain".',
    });
  });

  test("is left out for as long as before, after a reload that changes what the file says of it", async () => {
    using echo = listenEcho();
    await using stand = await startStand();
    const { proxy, upstream, dead, good } = stand;
    await useTunnel(proxy, echo.port);
    const source = answer(`PROXY ${dead.slice(7)}; PROXY ${good.slice(7)}; DIRECT`);
    await proxy.reload({ ...config, timeouts: { connect: "9s" } }, { "proxy.pac": source });
    await useTunnel(proxy, echo.port);
    expect(upstream.asked).toHaveLength(2);
    expect(await readPac(proxy)).toMatchObject({ members: [{ name: dead, failed: 1, ejections: 1 }, { name: good }] });
  });
});

describe("penstock explain of a PAC file, with a running proxy", () => {
  test("says who would be chosen and why, what comes after, and who is left out", async () => {
    using echo = listenEcho();
    await using stand = await startStand();
    const { proxy, source, dead, good } = stand;
    const target = `127.0.0.1:${echo.port}`;
    const before = await explain(proxy, config, source, target);
    expect(before).toContain(
      [
        "pool:    corp, as the running proxy has it",
        `chosen:  ${dead}, not used so far: first in the answer of the PAC file`,
        `then:    ${good}, not used so far: next in the answer`,
      ].join("\n"),
    );
    await useTunnel(proxy, echo.port);
    const after = await explain(proxy, config, source, target);
    expect(after).toContain(
      `chosen:  ${good}, healthy: first in the answer of the PAC file that is not left out\nwithout: ${dead}, ejected (connection_refused) for another `,
    );
    await proxy.ask(`/upstreams/corp/${encodeURIComponent(good)}/disable`, "POST");
    const json = JSON.parse(await explain(proxy, config, source, target, "--json")) as unknown;
    expect(json).toMatchObject({
      pac: `corp chose ${dead}, then ${good}`,
      verdict: "refused with 503",
      detail: "no_healthy_upstream",
      pools: [
        {
          name: "corp",
          balance: "pac",
          asked: true,
          next: [],
          candidates: [
            { member: dead, health: "ejected" },
            { member: good, health: "disabled" },
          ],
        },
      ],
    });
  });

  test("says the candidates of each hop of a chain", async () => {
    using echo = listenEcho();
    await using stand = await startStand();
    const { proxy, source, dead, good } = stand;
    const chained: PenstockConfig = {
      upstreams: { corp: { pac: "proxy.pac" }, exits: { pool: ["http://192.0.2.1:1", "http://192.0.2.2:1"] } },
      rules: [{ ...allowLoopback, via: ["corp", "exits"] }],
    };
    await proxy.reload(chained);
    const printed = await explain(proxy, chained, source, `127.0.0.1:${echo.port}`);
    expect(printed).toContain(
      [
        "pool:    corp, as the running proxy has it",
        `chosen:  ${dead}, not used so far: first in the answer of the PAC file`,
        `then:    ${good}, not used so far: next in the answer`,
        "pool:    exits, as the running proxy has it",
        "chosen:  192.0.2.1:1, healthy: next in turn",
        "then:    192.0.2.2:1, healthy: next in turn",
      ].join("\n"),
    );
  });
});
