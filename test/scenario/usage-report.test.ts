import { describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const users = [
  { name: "ci", password: "secret-of-ci", limits: { connections: 50, bytes: { month: "1GB" } } },
  { name: "bob", password: "secret-of-bob" },
];

/** The same without quotas, which need a folder. */
const free = users.map(({ name, password }) => ({ name, password }));

async function open(proxy: TestProxy, port: number, name: string, bytes: number) {
  const { peer } = await proxy.tunnel(`127.0.0.1:${port}`, basic(name, `secret-of-${name}`));
  peer.write(Buffer.alloc(bytes, "x"));
  await peer.until(({ receivedBytes }) => receivedBytes === bytes, "the echo");
  return peer;
}

async function ask(proxy: TestProxy, query: string): Promise<Record<string, unknown>> {
  return (await (await proxy.ask(`/usage?${query}`)).json()) as Record<string, unknown>;
}

describe("/usage", () => {
  test("shows who uses what while tunnels run, and when they are over", async () => {
    await using folder = await makeFolder();
    using origin = listenEcho();
    await using proxy = await startProxy({ users, state: { folder: `${folder.path}/state` } });
    const running = await open(proxy, origin.port, "ci", 1000);
    const over = await open(proxy, origin.port, "bob", 70);
    over.finish();
    await over.untilEnd();
    await proxy.record();
    expect(await ask(proxy, "by=user")).toMatchObject({
      by: "user",
      kept: true,
      usage: [
        {
          user: "ci",
          open: 1,
          today: { up: 1000, down: 1000, requests: 0 },
          limits: { connections: 50 },
          quota: { month: { limit: 1e9, used: 2000, left: 1e9 - 2000 } },
        },
        { user: "bob", open: 0, today: { up: 70, down: 70, requests: 1 }, refused: {} },
      ],
    });
    expect(await ask(proxy, "by=client")).toMatchObject({
      usage: [{ client: "127.0.0.1", open: 1, month: { up: 1070, down: 1070, requests: 1 } }],
    });
    expect(await ask(proxy, "by=target&top=1")).toMatchObject({
      usage: [{ target: `127.0.0.1:${origin.port}`, since: { up: 1070 } }],
    });
    expect(await ask(proxy, "by=upstream")).toMatchObject({ usage: [{ upstream: "direct", open: 1 }] });
    expect(await ask(proxy, "top=1")).toMatchObject({
      usage: [{ user: "ci" }],
      others: { number: 1, up: 70, down: 70, requests: 1 },
    });
    running.finish();
    await running.untilEnd();
    await proxy.record(1);
    expect(await ask(proxy, "since=30d")).toMatchObject({
      usage: [{ user: "ci", open: 0, since: { up: 1000, down: 1000, requests: 1 } }, { user: "bob" }],
    });
  });

  test("measures rates", async () => {
    using origin = listenEcho();
    await using proxy = await startProxy({ users: free });
    const { peer } = await proxy.tunnel(`127.0.0.1:${origin.port}`, basic("ci", "secret-of-ci"));
    const pump = setInterval(() => peer.write("y".repeat(1000)), 10);
    const report = await ask(proxy, "by=user");
    clearInterval(pump);
    const [row] = report["usage"] as { rate: { up: number; down: number } }[];
    expect(row?.rate.up).toBeGreaterThan(0);
    expect(row?.rate.down).toBeGreaterThan(0);
    expect(report["kept"]).toBe(false);
    peer.reset();
    await proxy.record();
    await waitFor(async () => {
      const [{ rate } = {}] = (await ask(proxy, "by=user"))["usage"] as { rate?: { up: number } }[];
      return rate?.up === 0;
    }, "the rate to end");
  });

  test("writes CSV for whoever wants it", async () => {
    using origin = listenEcho();
    await using proxy = await startProxy({ users: free });
    (await open(proxy, origin.port, "ci", 5)).reset();
    await proxy.record();
    const answer = await fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}/usage`, {
      headers: { Authorization: "Bearer scenario-token", Accept: "text/csv" },
    });
    expect(answer.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    const [titles = "", row = ""] = (await answer.text()).split("\r\n");
    expect(titles).toStartWith("user,open,rate_up,rate_down,today_up,today_down,today_requests,");
    expect(row).toMatch(/^ci,0,0,0,5,5,1,5,5,1,5,5,1,0,,,,$/);
  });

  test("quotes names in CSV, and lets a spreadsheet take none for a formula", async () => {
    using origin = listenEcho();
    const names = ["=1+2", "+49", "-x", "@sum", "\uff1d1", ' "=1', "a,b", 'q"', "a=b", "\u202erev"];
    await using proxy = await startProxy({ users: (name: string) => names.includes(name) });
    for (const [at, name] of names.entries()) {
      (await open(proxy, origin.port, name, 100 - at)).reset();
      await proxy.record(at);
    }
    const lines = (await (await proxy.ask("/usage?format=csv")).text()).split("\r\n").slice(1, -1);
    expect(lines.map((line) => line.slice(0, line.indexOf(",0,0,0,")))).toEqual([
      "'=1+2",
      "'+49",
      "'-x",
      "'@sum",
      "'\uff1d1",
      '" ""=1"',
      '"a,b"',
      '"q"""',
      "a=b",
      "\\u202erev",
    ]);
  });

  test.each([
    ["by=name", 'by is "name".'],
    ["since=1h", 'since is "1h".'],
    ["since=2026-02-30", 'since is "2026-02-30".'],
    ["top=0", 'top is "0".'],
    ["format=xml", "format is json or csv."],
    ["user=ci", 'There is no parameter "user".'],
  ])("refuses %s", async (query, message) => {
    await using proxy = await startProxy({ users: free });
    const answer = await proxy.ask(`/usage?${query}`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ detail: expect.stringContaining(message) });
  });

  test("wants the token", async () => {
    await using proxy = await startProxy({ users: free });
    expect((await fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}/usage`)).status).toBe(401);
  });

  test("is what the command shows", async () => {
    using origin = listenEcho();
    await using proxy = await startProxy({ users: free });
    (await open(proxy, origin.port, "ci", 5)).reset();
    await proxy.record();
    const io = createFakeIo({ variables: { PENSTOCK_SIDECAR_TOKEN: "scenario-token" } });
    const sidecar = ["--sidecar", `http://127.0.0.1:${proxy.daemon.sidecar?.port}`];
    expect(await runCli(["usage", ...sidecar], io)).toBe(0);
    expect(io.printed()).toContain("ci                           0       0 B       0 B      10 B      10 B        1\n");
    expect(await runCli(["usage", "--csv", "--by", "target", ...sidecar], io)).toBe(0);
    expect(io.printed()).toContain(`127.0.0.1:${origin.port},0,0,0,5,5,1,`);
    expect(await runCli(["usage", "--since", "yesterday", ...sidecar], io)).toBe(2);
    expect(io.told.at(-1)).toStartWith('The sidecar refused (400): since is "yesterday".');
  });
});

describe("penstock explain", () => {
  test("says what is used of the limits of a user, a client and a target while the proxy runs, and nothing of it without", async () => {
    await using folder = await makeFolder();
    using origin = listenEcho();
    const config = {
      users: [
        { name: "ci", password: "secret-of-ci", limits: { rate: "9/h", bytes: { day: "1KB", month: "1GB" } } },
        { name: "a b;ü", password: "secret-of-a b;ü" },
      ],
      limits: { perUser: { connections: 20 }, perClient: { connections: 10, rate: "100/h", bandwidth: "5MB/s" } },
      rules: [{ name: "here", to: ["127.0.0.1"], allowPrivate: true, bandwidth: "1GB/s" }],
      state: { folder: `${folder.path}/state` },
    };
    const explain = async (port: number, ...args: string[]) => {
      await using written = await makeFolder({
        "proxy.config.json": { ...config, sidecar: { port, token: "scenario-token" } },
      });
      const io = createFakeIo({ folder: written.path });
      expect(await runCli(["explain", `127.0.0.1:${origin.port}`, ...args], io)).toBe(0);
      return io.printed();
    };
    let sidecar: number;
    {
      await using proxy = await startProxy(config);
      sidecar = proxy.daemon.sidecar?.port ?? 0;
      for (let at = 0; at < 2; at += 1) await open(proxy, origin.port, "ci", 400);
      const text = await explain(sidecar, "--user", "ci");
      expect(text).toContain(
        "\nlimits:  perClient.connections 10, perClient.rate 100/h, perClient.bandwidth 5MB/s, perUser.connections 20, perUser.rate 9/h, perUser.bytes.day 1KB, perUser.bytes.month 1GB, rules.bandwidth 1GB/s\n",
      );
      expect(text).toMatch(
        /\nused: {4}perClient\.connections 2, perClient\.rate 2 requests, perClient\.bandwidth up .*\/s, down .*\/s, perUser\.connections 2, perUser\.rate 2 requests, perUser\.bytes\.day 1\.6 kB \(0 B left until \d{4}-.*T00:00:00\.000Z\), perUser\.bytes\.month 1\.6 kB \(1\.0 GB left until .*\)\n/,
      );
      expect(text).toContain("\nnote:    perUser.bytes.day is used up: the answer is 429 until ");
      expect(JSON.parse(await explain(sidecar, "--user", "ci", "--json"))).toMatchObject({
        limits: { "perUser.bytes.day": "1KB", "rules.bandwidth": "1GB/s" },
        used: {
          "perClient.connections": 2,
          "perUser.rate": 2,
          "perUser.bytes.day": { limit: 1000, used: 1600, left: 0 },
        },
        notes: [expect.stringContaining("perUser.bytes.day is used up")],
      });
      // Who has never come has used nothing, whatever the name is.
      expect(JSON.parse(await explain(sidecar, "--user", "a b;ü", "--from", "192.0.2.1", "--json"))).toMatchObject({
        used: { "perClient.connections": 0, "perClient.rate": 0, "perUser.connections": 0 },
      });
    }
    const alone = await explain(sidecar, "--user", "ci");
    expect(alone).toContain("perUser.bytes.day 1KB");
    expect(alone).not.toContain("\nused: ");
  });
});
