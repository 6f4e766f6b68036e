import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { startExecutable } from "../support/executable.ts";
import { type Family, startFamily, writeConfig } from "../support/proxy-family.ts";
import { listenEcho, listenRaw, type RawPeer } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

// Each starts several processes.
setDefaultTimeout(300_000);

/** Bytes up and down of a user in the file. */
function readUse(folder: string, user: string): number {
  using database = new Database(`${folder}/state/usage.db`, { readonly: true });
  return (
    database
      .query<{ bytes: number | null }, [string]>("SELECT SUM(up + down) AS bytes FROM use WHERE user = ?")
      .get(user)?.bytes ?? 0
  );
}

/** Bytes of a user in the access lines of all processes. */
function sumLines({ first }: Family, user: string): { readonly lines: number; readonly bytes: number } {
  const records = first.stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((record) => record["user"] === user && record["status"] === 200);
  const bytes = records.reduce((sum, record) => sum + Number(record["bytes_up"]) + Number(record["bytes_down"]), 0);
  return { lines: records.length, bytes };
}

const RATE = 1_000_000;
/** Each byte tells its place. */
const block = Buffer.from(Array.from({ length: 250 }, (_, at) => at));
const piece = Buffer.concat(Array.from({ length: 80 }, () => block));

/** Writes as fast as it can, until it is told to stop. */
function pump(peer: RawPeer) {
  const written = { bytes: 0, stop: () => clearInterval(timer) };
  const timer = setInterval(() => {
    if (peer.closed || peer.unwrittenBytes > 100_000) return;
    peer.write(piece);
    written.bytes += piece.length;
  }, 5);
  return written;
}

/** Counts what a peer gets, and the bytes that are not at their place. */
function check(peer: RawPeer) {
  const seen = { bytes: 0, wrong: 0 };
  peer.consume = (chunk) => {
    for (const byte of chunk) {
      if (byte !== seen.bytes % block.length) seen.wrong += 1;
      seen.bytes += 1;
    }
  };
  return seen;
}

describe.each([
  ["in the relay", { splice: "off" }],
  ["in lanes", { spliceAfter: "4KiB" }],
])("tunnels under a limit on bandwidth, %s", (_where, settings) => {
  test("move with their rate, their count and their quota, which stays exact to the byte", async () => {
    const limits = { connections: 3, bandwidth: "1MB/s", bytes: { month: "1TB" } };
    await using folder = await makeFolder(
      writeConfig({ users: [{ name: "ci", password: "secret", limits }], state: { folder: "state" }, ...settings }),
    );
    const flows: { readonly written: ReturnType<typeof pump>; readonly got: ReturnType<typeof check> }[] = [];
    using origin = listenRaw();
    await using family = await startFamily(folder, [await findExecutable()]);
    const target = `127.0.0.1:${origin.port}`;
    const since = performance.now();
    const peers: RawPeer[] = [];
    for (let at = 0; at < limits.connections; at += 1) {
      const [client, server] = await Promise.all([openTunnel(family.port, target, "ci:secret"), origin.next()]);
      peers.push(client, server);
      flows.push({ written: pump(client), got: check(server) }, { written: pump(server), got: check(client) });
    }
    const count = () => flows.reduce((sum, { got }) => sum + got.bytes, 0);
    const untilMore = async (): Promise<void> => {
      const wanted = count() + 100_000;
      await waitFor(() => count() >= wanted, "more bytes");
    };
    let movingMs = 0;
    for (let round = 0; round < 3; round += 1) {
      await untilMore();
      const [pid, began] = [family.pids.at(-1) ?? 0, performance.now()];
      expect((await family.handOver()).code).toBe(0);
      await family.untilGone(pid);
      movingMs += performance.now() - began;
      expect(await askInVain(family.port, target, "ci:secret")).toContain("too_many_connections perUser.connections");
    }
    await untilMore();
    for (const { written } of flows) written.stop();
    await waitFor(() => flows.every(({ written, got }) => written.bytes === got.bytes), "all bytes", 120_000);
    const seconds = (performance.now() - since) / 1000;
    expect(flows.map(({ got }) => got.wrong)).toEqual(flows.map(() => 0));
    // Each direction has its rate, and its burst of 100 ms once. Each process has the rate for what is there while tunnels move.
    const bytes = count();
    expect(bytes / 2).toBeLessThanOrEqual(RATE * (seconds + movingMs / 1000 + 0.2));
    for (const peer of peers) peer.finish();
    await Promise.all(peers.map((peer) => peer.untilEnd()));
    await waitFor(() => sumLines(family, "ci").lines === limits.connections, "a line of each tunnel");
    expect(sumLines(family, "ci").bytes).toBe(bytes);
    await waitFor(() => readUse(folder.path, "ci") >= bytes, `${bytes} bytes in the file`);
    expect(readUse(folder.path, "ci")).toBe(bytes);
  });

  test("end in time when the proxy drains while a direction waits for the limit", async () => {
    const limits = { perUser: { bandwidth: "8KiB/s" } };
    await using folder = await makeFolder(
      writeConfig({
        users: [{ name: "ci", password: "secret" }],
        limits,
        timeouts: { drain: "200ms", lameDuck: "0" },
        ...settings,
      }),
    );
    using origin = listenEcho();
    await using proxy = await startExecutable({ cwd: folder.path, env: { PENSTOCK_SIDECAR_TOKEN: "t0ken" } });
    const tunnel = await openTunnel(proxy.port, `127.0.0.1:${origin.port}`, "ci:secret");
    // What is left takes minutes.
    tunnel.write(Buffer.alloc(2_000_000, "x"));
    await waitFor(async () => {
      const answer = await fetch("http://localhost/tunnels", {
        unix: `${folder.path}/s.sock`,
        headers: { Authorization: "Bearer t0ken" },
      });
      return (await answer.text()).includes("perUser.bandwidth");
    }, "the tunnel to wait for its limit");
    proxy.signal("SIGTERM");
    // Longer than this would be a minute or more.
    const code = await Promise.race([proxy.exited, Bun.sleep(30_000)]);
    expect(code).toBe(0);
    expect(await proxy.record()).toMatchObject({ status: 200, user: "ci" });
  });
});

describe("use that cannot be written", () => {
  test("goes to the process that takes over, which keeps it, and lets nobody in whose quota is reached", async () => {
    await using folder = await makeFolder(
      writeConfig({
        users: [
          { name: "ci", password: "secret", limits: { bytes: { day: "100KB" } } },
          { name: "bob", password: "secret", limits: { bytes: { day: "1GB" } } },
        ],
        state: { folder: "state" },
      }),
    );
    using origin = listenEcho();
    const target = `127.0.0.1:${origin.port}`;
    await using family = await startFamily(folder, [await findExecutable()]);
    const use = async (user: string, bytes: number): Promise<void> => {
      const peer = await openTunnel(family.port, target, `${user}:secret`);
      peer.write(Buffer.alloc(bytes, "x"));
      await peer.untilReceived(bytes);
      peer.finish();
      await peer.untilEnd();
    };
    await use("bob", 1000);
    await waitFor(() => readUse(folder.path, "bob") === 2000, "the first use to be kept");
    {
      using lock = new Database(`${folder.path}/state/usage.db`);
      lock.run("BEGIN IMMEDIATE");
      await use("ci", 60_000);
      await use("bob", 30_000);
      await family.first.untilTold("another program has locked it");
      // In the second process, too, which has no file that it can write.
      for (let round = 0; round < 2; round += 1) {
        const pid = family.pids.at(-1) ?? 0;
        expect((await family.handOver()).code).toBe(0);
        expect(await askInVain(family.port, target, "ci:secret")).toContain("quota_exceeded perUser.bytes.day");
        await family.untilGone(pid);
        expect(await askInVain(family.port, target, "ci:secret")).toContain("quota_exceeded perUser.bytes.day");
        await use("bob", 500);
      }
      lock.run("ROLLBACK");
    }
    await waitFor(() => readUse(folder.path, "bob") === 2 * 32_000, "all use of bob");
    await waitFor(() => readUse(folder.path, "ci") === 120_000, "all use of ci");
    expect(sumLines(family, "bob").bytes).toBe(2 * 32_000);
    expect(sumLines(family, "ci").bytes).toBe(120_000);
    expect(await askInVain(family.port, target, "ci:secret")).toContain("quota_exceeded perUser.bytes.day");
  });
});
