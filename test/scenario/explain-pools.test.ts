import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { basic, startProxy, waitFor } from "../support/proxy.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const variables = { PENSTOCK_SIDECAR_TOKEN: "scenario-token" };

/** Runs `penstock explain` with a configuration, and the lines from the route on. */
async function explain(config: PenstockConfig, ...args: string[]) {
  await using folder = await makeFolder({ "proxy.config.json": config });
  const io = createFakeIo({ folder: folder.path, variables });
  const code = await runCli(["explain", ...args], io);
  const lines = io.printed().trimEnd().split("\n");
  return {
    code,
    printed: io.printed(),
    told: io.told,
    lines: lines.slice(lines.findIndex((line) => line.startsWith("pool:"))),
  };
}

const members = ["a", "b", "c", "d", "e"].map((name) => ({ url: `http://${name}.example:3128`, name }));

describe("penstock explain of a pool, without a proxy to ask", () => {
  test("says the order of choice, and that health is unknown", async () => {
    const { code, lines } = await explain(
      { upstreams: { exits: { pool: members, balance: "first" } }, default: "exits" },
      "example.org:443",
    );
    expect(code).toBe(0);
    expect(lines).toEqual([
      'pool:    exits, health unknown: not asked ("sidecar" is not set)',
      "chosen:  a, unknown: first in the list",
      "then:    b, unknown: first in the list",
      "then:    c, unknown: first in the list",
      "spare:   d, unknown",
      "spare:   e, unknown",
      "address: left to the upstream to resolve",
      "verdict: allowed",
    ]);
  });

  test("finds the member that the hash gives a user, whoever else asks", async () => {
    const config: PenstockConfig = { upstreams: { exits: { pool: members, balance: "hash" } }, default: "exits" };
    const chosen = new Set<string | undefined>();
    for (let at = 0; at < 40; at++) {
      const { lines } = await explain(config, "example.org", "--user", `user${at}`);
      expect(lines[1]).toEndWith(": by the hash of the user");
      chosen.add(lines[1]);
    }
    expect(chosen.size).toBe(5);
  });

  test("goes into pools that are members, and prints JSON", async () => {
    const config: PenstockConfig = {
      upstreams: {
        inner: { pool: members.slice(0, 2), balance: "first" },
        exits: { pool: ["inner", { url: "http://z.example:3128", backup: true }], attempts: 1 },
      },
      default: "exits",
    };
    const { printed } = await explain(config, "example.org", "--json", "--user", "alice");
    expect(JSON.parse(printed)).toMatchObject({
      target: "example.org:443",
      client: "127.0.0.1",
      user: "alice",
      allowed: true,
      verdict: "allowed",
      addresses: ["left to the upstream to resolve"],
      pools: [
        {
          name: "exits",
          balance: "round-robin",
          asked: false,
          chosen: { member: "inner", why: "next in turn" },
          next: [],
          candidates: [
            { member: "inner", health: "unknown", backup: false },
            { member: "z.example:3128", backup: true },
          ],
        },
        { name: "inner", chosen: { member: "a" }, next: [{ member: "b" }] },
      ],
    });
  });

  test("leaves the name to the member that is chosen, whatever others would do", async () => {
    const pool = ["http://a.example:3128", { upstream: "direct", backup: true }];
    const { lines } = await explain({ upstreams: { corp: { pool } }, default: "corp" }, "nowhere.invalid");
    expect(lines.slice(1)).toEqual([
      "chosen:  a.example:3128, unknown: next in turn",
      "then:    direct, unknown: a backup, when no other is healthy",
      "address: left to the upstream to resolve",
      "verdict: allowed",
    ]);
  });

  test("names ten of many members", async () => {
    const pool = Array.from({ length: 1000 }, (_, at) => `http://192.0.2.1:${at + 1}`);
    const { printed, lines } = await explain({ upstreams: { exits: { pool } }, default: "exits" }, "example.org");
    expect(lines).toContain("spare:   and 987 more");
    expect(printed.length).toBeLessThan(2000);
  });

  test("says in JSON why a target is refused", async () => {
    const { printed } = await explain({}, "10.1.2.3:443", "--json");
    expect(JSON.parse(printed)).toMatchObject({ allowed: false, status: 403, detail: "address_prohibited" });
  });
});

describe("penstock explain of a pool, with a running proxy", () => {
  test("shows the health there, chooses as the proxy does, and changes nothing", async () => {
    using echo = listenEcho();
    await using good = await startConnectUpstream();
    await using other = await startConnectUpstream();
    const config: PenstockConfig = {
      upstreams: {
        exits: {
          pool: [
            { url: `http://127.0.0.1:${await reserveClosedPort()}`, name: "dead" },
            { url: `http://127.0.0.1:${good.port}`, name: "good" },
            { url: `http://127.0.0.1:${other.port}`, name: "other" },
          ],
          eject: { failures: 1, for: "5m" },
          sticky: { by: "user" },
        },
      },
      users: [
        { name: "alice", password: "secret" },
        { name: "bob", password: "secret" },
      ],
      rules: [{ to: ["127.0.0.0/8"], allowPrivate: true }],
      default: "exits",
    };
    await using proxy = await startProxy(config);
    const target = `127.0.0.1:${echo.port}`;
    const first = await proxy.tunnel(target, basic("alice", "secret"));
    first.peer.reset();
    const { member } = await proxy.record(0);
    const kept = String(member).replace("exits/", "");
    await waitFor(() => proxy.daemon.pools.describe()[0]?.members[0]?.health === "ejected", "the ejection");
    const sidecar = ["--sidecar", `127.0.0.1:${proxy.daemon.sidecar?.port}`];
    const ofAlice = await explain(config, target, "--user", "alice", ...sidecar);
    expect(ofAlice.lines.slice(0, 2)).toEqual([
      "pool:    exits, as the running proxy has it",
      `chosen:  ${kept}, healthy: the session of the user has it`,
    ]);
    expect(ofAlice.lines[2]).toMatch(/^then: {4}(?:good|other), healthy: next in turn$/);
    expect(ofAlice.lines[3]).toMatch(/^without: dead, ejected \(connection_refused\) for another [45]m [0-9]+s$/);
    const ofBob = await explain(config, target, "--user", "bob", ...sidecar);
    const promised = /^chosen: {2}(\w+), healthy: next in turn$/.exec(ofBob.lines[1] ?? "")?.[1];
    // But for the time that is left, which goes on.
    const timeless = (lines: readonly string[]) => lines.map((line) => line.replace(/[45]m [0-9]+s$/, "a while"));
    const again = await explain(config, target, "--user", "bob", ...sidecar);
    expect(timeless(again.lines)).toEqual(timeless(ofBob.lines));
    const second = await proxy.tunnel(target, basic("bob", "secret"));
    second.peer.reset();
    expect(await proxy.record(1)).toMatchObject({ user: "bob", member: `exits/${promised}` });
  });

  test("and the proxy agree that a name is left to the member, though another one would resolve it", async () => {
    using echo = listenEcho();
    await using parent = await startConnectUpstream();
    const pool = [`http://127.0.0.1:${parent.port}`, { upstream: "direct", backup: true }];
    const config: PenstockConfig = { upstreams: { corp: { pool } }, default: "corp" };
    await using proxy = await startProxy(config);
    const target = `nowhere.invalid:${echo.port}`;
    const { lines } = await explain(config, target, "--sidecar", `127.0.0.1:${proxy.daemon.sidecar?.port}`);
    expect(lines.at(-1)).toBe("verdict: allowed");
    const { peer, head } = await proxy.tunnel(target);
    peer.reset();
    expect(head).toStartWith("HTTP/1.1 200 ");
    expect(parent.asked).toEqual([target]);
  });

  test("says that nobody is there, as the proxy would", async () => {
    const config: PenstockConfig = {
      upstreams: { exits: { pool: [{ url: "http://127.0.0.1:9", name: "only" }] } },
      default: "exits",
    };
    await using proxy = await startProxy(config);
    await proxy.ask("/upstreams/exits/only/disable", "POST");
    const { lines } = await explain(config, "example.org", "--sidecar", `127.0.0.1:${proxy.daemon.sidecar?.port}`);
    expect(lines).toEqual([
      "pool:    exits, as the running proxy has it",
      "without: only, disabled (by an operator)",
      "verdict: refused with 503",
      "reason:  destination_unavailable; no_healthy_upstream",
      "meaning: No member of the upstream exits is healthy.",
    ]);
    const { head } = await proxy.tunnel("example.org:443");
    expect(head).toContain("No member of the upstream exits is healthy.");
  });

  test("says why it could not ask", async () => {
    const config: PenstockConfig = { upstreams: { exits: { pool: members } }, default: "exits" };
    const gone = await explain(config, "example.org", "--sidecar", "127.0.0.1:1");
    expect(gone.lines[0]).toBe(
      "pool:    exits, health unknown: not asked (Cannot reach the sidecar at http://127.0.0.1:1: ECONNREFUSED. Is the proxy running?)",
    );
    await using proxy = await startProxy();
    const another = await explain(config, "example.org", "--sidecar", `127.0.0.1:${proxy.daemon.sidecar?.port}`);
    expect(another.lines[0]).toBe(
      'pool:    exits, health unknown: not asked (the sidecar refused (404): There is no upstream "exits". There are none)',
    );
  });
});
