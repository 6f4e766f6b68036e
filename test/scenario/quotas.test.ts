import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const CI = basic("ci", "secret-of-ci");
const BOB = basic("bob", "secret-of-bob");

/** A proxy with two users, of whom one has a quota. */
function configure(
  folder: string,
  limits: PenstockConfig["limits"],
  quota: { day?: string; month?: string },
): PenstockConfig {
  return {
    users: [
      { name: "ci", password: "secret-of-ci", limits: { bytes: quota } },
      { name: "bob", password: "secret-of-bob" },
    ],
    state: { folder },
    ...(limits && { limits }),
  };
}

/** Has the echo send `bytes` back through a tunnel of a user. */
async function echo(proxy: TestProxy, port: number, who: Record<string, string>, bytes: number): Promise<string> {
  const { peer, head } = await proxy.tunnel(`127.0.0.1:${port}`, who);
  if (!head.startsWith("HTTP/1.1 200 ")) return head;
  peer.write(Buffer.alloc(bytes, "x"));
  await peer.until(({ receivedBytes }) => receivedBytes === bytes, "the echo");
  peer.finish();
  await peer.untilEnd();
  return head;
}

describe("a quota of bytes", () => {
  test("refuses the next tunnel of its user, and nobody else's, with the time until it begins anew", async () => {
    await using folder = await makeFolder({});
    using origin = listenEcho();
    await using proxy = await startProxy(configure(`${folder.path}/state`, {}, { day: "2KB" }));
    expect(await echo(proxy, origin.port, CI, 999)).toStartWith("HTTP/1.1 200 ");
    expect(await echo(proxy, origin.port, CI, 1)).toStartWith("HTTP/1.1 200 ");
    const left = Math.ceil((Date.parse(new Date().toISOString().slice(0, 10)) + 86_400_000 - Date.now()) / 1000);
    const refused = await echo(proxy, origin.port, CI, 1);
    expect(refused).toStartWith("HTTP/1.1 429 ");
    expect(refused).toContain('error=connection_limit_reached; details="quota_exceeded perUser.bytes.day: ');
    expect(Number(/Retry-After: ([0-9]+)/.exec(refused)?.[1])).toBeWithin(left - 30, left + 1);
    expect(await echo(proxy, origin.port, BOB, 5000)).toStartWith("HTTP/1.1 200 ");
    const record = await waitFor(() => proxy.records.find(({ status }) => status === 429), "the record");
    expect(record).toMatchObject({
      user: "ci",
      detail: "quota_exceeded",
      limit: "perUser.bytes.day",
      target: `127.0.0.1:${origin.port}`,
    });
    const metrics = await proxy.metrics();
    expect(metrics).toContain('penstock_limited_total{limit="perUser.bytes.day"} 1\n');
    expect(metrics).toContain('penstock_user_quota_used_bytes{user="ci",span="day"} 2000\n');
  });

  test("of a month is told before that of a day: nobody waits in vain", async () => {
    await using folder = await makeFolder({});
    using origin = listenEcho();
    await using proxy = await startProxy(configure(`${folder.path}/state`, {}, { day: "1KB", month: "1KB" }));
    await echo(proxy, origin.port, CI, 500);
    const refused = await echo(proxy, origin.port, CI, 1);
    expect(refused).toContain("perUser.bytes.month");
    const now = new Date();
    const next = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
    expect(Number(/Retry-After: ([0-9]+)/.exec(refused)?.[1])).toBeWithin(
      Math.floor((next - Date.now()) / 1000) - 30,
      Math.ceil((next - Date.now()) / 1000) + 30,
    );
  });

  test("holds for forwarded requests, on a kept connection too, to the byte of the access lines", async () => {
    await using folder = await makeFolder({});
    await using proxy = await startProxy(configure(`${folder.path}/state`, {}, { day: "5KB" }));
    using origin = Bun.serve({ port: 0, fetch: () => new Response("x".repeat(1000)) });
    const peer = await proxy.connect();
    const field = `Proxy-Authorization: ${CI["Proxy-Authorization"]}\r\n`;
    const request = `GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n${field}\r\n`;
    let requests = 0;
    while (!peer.text.includes("HTTP/1.1 429 ")) {
      peer.take();
      peer.write(request);
      requests += 1;
      await peer.until(({ text }) => /x{1000}$|Connection: \S+\n$/.test(text), "an answer");
    }
    const records = await waitFor(() => proxy.records.length === requests && proxy.records, "every record");
    const used = records.reduce((sum, { bytes_up: up, bytes_down: down }) => sum + Number(up) + Number(down), 0);
    expect(used).toBeGreaterThanOrEqual(5000);
    const last = records.at(-2) ?? {};
    expect(used - Number(last["bytes_up"]) - Number(last["bytes_down"])).toBeLessThan(5000);
    expect(await proxy.metrics()).toContain(`penstock_user_quota_used_bytes{user="ci",span="day"} ${used}\n`);
  });

  test("refuses SOCKS clients in their protocol", async () => {
    await using folder = await makeFolder({});
    using origin = listenEcho();
    await using proxy = await startProxy(configure(`${folder.path}/state`, {}, { day: "1KB" }));
    await echo(proxy, origin.port, CI, 500);
    using peer = await proxy.connect();
    peer.write(Buffer.from([5, 1, 2]));
    await peer.until(({ receivedBytes }) => receivedBytes === 2, "the method");
    peer.write(Buffer.concat([Buffer.from([1, 2]), Buffer.from("ci"), Buffer.from([12]), Buffer.from("secret-of-ci")]));
    await peer.until(({ receivedBytes }) => receivedBytes === 4, "the login");
    peer.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, origin.port >> 8, origin.port & 255]));
    await peer.untilEnd();
    expect(peer.take().at(5)).not.toBe(0);
    await waitFor(() => proxy.records.find(({ detail }) => detail === "quota_exceeded"), "the record");
  });

  test("lets running tunnels finish unless it says otherwise", async () => {
    await using folder = await makeFolder({});
    using origin = listenEcho();
    await using proxy = await startProxy(configure(`${folder.path}/state`, {}, { day: "1KB" }));
    const { peer } = await proxy.tunnel(`127.0.0.1:${origin.port}`, CI);
    peer.write(Buffer.alloc(1000, "x"));
    await waitFor(async () => (await echo(proxy, origin.port, CI, 0)).includes(" 429 "), "the quota while it runs");
    peer.write("and on");
    await peer.untilText("and on");
    peer.finish();
    await peer.untilEnd();
    const record = await waitFor(() => proxy.records.find(({ end }) => end === "closed" && true), "its record");
    expect(record).toMatchObject({ user: "ci" });
  });

  test.each(["auto", "off"] as const)("ends running tunnels where onQuota is end, with splicing %s", async (splice) => {
    await using folder = await makeFolder({});
    using origin = listenEcho();
    await using proxy = await startProxy({
      ...configure(`${folder.path}/state`, { onQuota: "end" }, { day: "300KB" }),
      splice,
      spliceAfter: "10KiB",
    });
    const { peer } = await proxy.tunnel(`127.0.0.1:${origin.port}`, CI);
    const { peer: other } = await proxy.tunnel(`127.0.0.1:${origin.port}`, BOB);
    const write = (): void => void (!peer.closed && peer.write(Buffer.alloc(20_000, "x")));
    const pump = setInterval(write, 5);
    await peer.until(({ closed }) => closed, "its end");
    clearInterval(pump);
    const record = await proxy.record();
    expect(record).toMatchObject({
      user: "ci",
      end: "quota_exceeded",
      detail: "quota_exceeded",
      limit: "perUser.bytes.day",
    });
    expect(Number(record["bytes_up"]) + Number(record["bytes_down"])).toBeGreaterThanOrEqual(300_000);
    other.write("still here");
    await other.untilText("still here");
  });

  test("survives a restart and a reload, and opens when the limit is raised", async () => {
    await using folder = await makeFolder({});
    using origin = listenEcho();
    const config = (day: string) => configure(`${folder.path}/state`, {}, { day });
    {
      await using proxy = await startProxy(config("2KB"));
      await echo(proxy, origin.port, CI, 1000);
    }
    await using proxy = await startProxy(config("2KB"));
    expect(await echo(proxy, origin.port, CI, 1)).toContain(" 429 ");
    expect((await proxy.reload(config("2002B"))).kind).toBe("done");
    expect(await echo(proxy, origin.port, CI, 1)).toContain(" 200 ");
    expect(await echo(proxy, origin.port, CI, 1)).toContain(" 429 ");
  });

  test("of a month counts the days that a reload of its first day adds", async () => {
    await using folder = await makeFolder({});
    using origin = listenEcho();
    const DAY_MS = 86_400_000;
    const now = new Date();
    const date = now.getUTCDate();
    // The month has just begun, or a reload lets it begin at least a day earlier.
    const late = Math.min(28, date);
    const begins = Math.floor(now.getTime() / DAY_MS) - (date - late);
    const early = late === 1 ? 28 : late - 1;
    const config = (monthStart: number): PenstockConfig => {
      const state = { folder: `${folder.path}/state`, monthStart };
      return { ...configure(state.folder, {}, { month: "2KB" }), state };
    };
    {
      await using proxy = await startProxy(config(late));
      await echo(proxy, origin.port, CI, 10);
    }
    {
      using file = new Database(`${folder.path}/state/usage.db`);
      file.run("INSERT INTO use (day, user, up, down, requests) VALUES (?, 'ci', 3000, 0, 1)", [begins - 1]);
    }
    await using proxy = await startProxy(config(late));
    const tryOnce = () => echo(proxy, origin.port, CI, 10);
    expect(await tryOnce()).toContain(" 200 ");
    for (const [monthStart, answer] of [
      [early, " 429 "],
      [late, " 200 "],
      [early, " 429 "],
    ] as const) {
      expect((await proxy.reload(config(monthStart))).kind).toBe("done");
      expect(await tryOnce()).toContain(answer);
    }
  });

  test("counts only for whoever has shown to be the user", async () => {
    await using folder = await makeFolder({});
    await using proxy = await startProxy(configure(`${folder.path}/state`, {}, { day: "1KB" }));
    for (const name of ["ci", "nobody", "root"]) await echo(proxy, 1, basic(name, "wrong"), 1);
    await proxy.record(2);
    expect(await (await proxy.ask("/usage")).json()).toMatchObject({ usage: [] });
  });

  test("goes on when its file is removed while the proxy runs, and what was reached stays reached", async () => {
    await using folder = await makeFolder({});
    using origin = listenEcho();
    const config = configure(`${folder.path}/state`, {}, { day: "2KB" });
    {
      await using proxy = await startProxy(config);
      await echo(proxy, origin.port, CI, 1000);
      await waitFor(() => Bun.file(`${folder.path}/state/usage.db.copy`).exists(), "the copy");
      rmSync(`${folder.path}/state`, { recursive: true });
      await waitFor(() => proxy.messages.some((told) => told.includes("cannot be kept")), "the warning");
      expect(await echo(proxy, origin.port, CI, 1)).toContain(" 429 ");
      expect(await echo(proxy, origin.port, BOB, 1)).toContain(" 200 ");
      expect(await (await proxy.ask("/readyz")).json()).toMatchObject({
        ready: true,
        warning: expect.stringContaining("The use of users is not kept"),
      });
      mkdirSync(`${folder.path}/state`, { mode: 0o700 });
      await waitFor(() => proxy.messages.some((told) => told.includes("is kept in")), "the recovery", 10_000);
      expect(await proxy.metrics()).toContain("penstock_usage_kept 1\n");
    }
    await using proxy = await startProxy(config);
    expect(await echo(proxy, origin.port, CI, 1)).toContain(" 429 ");
  });

  test("is read from the copy when the file is damaged, and lets nobody with a quota in when both are", async () => {
    await using folder = await makeFolder();
    using origin = listenEcho();
    const state = `${folder.path}/state`;
    const config = configure(state, {}, { day: "2KB" });
    {
      await using proxy = await startProxy(config);
      await echo(proxy, origin.port, CI, 1000);
    }
    writeFileSync(`${state}/usage.db`, "nonsense".repeat(5000));
    {
      await using proxy = await startProxy(config);
      expect(await echo(proxy, origin.port, CI, 1)).toContain("quota_exceeded");
      expect(proxy.messages.filter((told) => told.includes("was damaged"))).toHaveLength(1);
    }
    for (const name of ["usage.db", "usage.db.copy"]) writeFileSync(`${state}/${name}`, "nonsense".repeat(5000));
    // The second start knows it, too.
    for (const _ of ["first", "second"]) {
      await using proxy = await startProxy(config);
      const refused = await echo(proxy, origin.port, CI, 1);
      expect(refused).toStartWith("HTTP/1.1 503 ");
      expect(refused).toContain("quota_unknown perUser.bytes.day");
      expect(await echo(proxy, origin.port, BOB, 1)).toContain(" 200 ");
      expect(proxy.messages.filter((told) => told.includes("Users with quotas are refused"))).toHaveLength(1);
      expect(await (await proxy.ask("/readyz")).json()).toMatchObject({
        ready: true,
        warning: "The use of users is not known: those with quotas are refused.",
      });
    }
  });
});
