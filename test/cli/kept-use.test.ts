import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { startExecutable } from "../support/executable.ts";
import { needs } from "../support/needs.ts";
import { startFamily, writeConfig } from "../support/proxy-family.ts";
import { listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { type DiskFaultRow, runner } from "../support/run-disk-faults.ts";
import { runInNamespace } from "../support/run-in-namespace.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

/** Milliseconds of use that a kill may lose: docs/limits.md. */
const BOUND_MS = 1000;

const config = (more: object = {}) =>
  writeConfig({
    users: [{ name: "ci", password: "secret", limits: { bytes: { month: "1TB" } } }],
    state: { folder: "state" },
    spliceAfter: "64KiB",
    ...more,
  });

/** Bytes up and down of a user in the file. */
function readUse(folder: string): number {
  using database = new Database(`${folder}/state/usage.db`, { readonly: true });
  return (
    database.query<{ bytes: number }, []>("SELECT SUM(up + down) AS bytes FROM use WHERE user = 'ci'").get()?.bytes ?? 0
  );
}

/** Writes again and again until it is closed. */
function pump(peer: RawPeer): Disposable {
  peer.consume = () => {};
  const timer = setInterval(() => {
    if (!peer.closed && peer.unwrittenBytes < 100_000) peer.write(Buffer.alloc(20_000, "x"));
  }, 5);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

describe("the use of users", () => {
  test("loses at most a second when the process is killed, while tunnels run in the relay and in lanes", async () => {
    await using folder = await makeFolder(config());
    using origin = listenEcho();
    const delivered: { readonly at: number; readonly bytes: number }[] = [];
    {
      await using proxy = await startExecutable({ cwd: folder.path });
      const peers = await Promise.all(
        Array.from({ length: 4 }, () => openTunnel(proxy.port, `127.0.0.1:${origin.port}`, "ci:secret")),
      );
      using _pumps = new DisposableStack();
      for (const peer of peers) _pumps.use(pump(peer));
      // What came back went up and down.
      const look = () =>
        delivered.push({ at: performance.now(), bytes: 2 * peers.reduce((sum, peer) => sum + peer.receivedBytes, 0) });
      await waitFor(() => {
        look();
        return (delivered.at(-1)?.at ?? 0) - (delivered[0]?.at ?? 0) > 3 * BOUND_MS;
      }, "three seconds of use");
      look();
      process.kill(proxy.pid, "SIGKILL");
      await proxy.exited;
    }
    const killedAt = delivered.at(-1)?.at ?? 0;
    const before = delivered.findLast(({ at }) => at <= killedAt - BOUND_MS)?.bytes ?? 0;
    expect(before).toBeGreaterThan(1_000_000);
    expect(readUse(folder.path)).toBeGreaterThanOrEqual(before);
    await using proxy = await startExecutable({ cwd: folder.path });
    expect(proxy.told.filter((line) => line.includes("usage.db"))).toEqual([]);
  });

  test("is exact to the byte across hand-overs and a reload, while tunnels move", async () => {
    await using folder = await makeFolder(config());
    using origin = listenEcho();
    await using family = await startFamily(folder, [await findExecutable()]);
    const open = async (bytes: number): Promise<RawPeer> => {
      const peer = await openTunnel(family.port, `127.0.0.1:${origin.port}`, "ci:secret");
      peer.write(Buffer.alloc(bytes, "x"));
      return peer;
    };
    const peers = await Promise.all([1, 1000, 100_000, 1_000_000, 3_000_000].map(open));
    using pumps = new DisposableStack();
    for (const peer of peers.slice(0, 4)) pumps.use(pump(peer));
    for (let round = 0; round < 3; round += 1) {
      const pid = family.pids.at(-1) ?? 0;
      expect((await family.handOver()).code).toBe(0);
      peers.push(await open(5000 + round));
      if (round === 1) process.kill(family.pids.at(-1) ?? 0, "SIGHUP");
      await family.untilGone(pid);
    }
    pumps.dispose();
    for (const peer of peers) peer.finish();
    await Promise.all(peers.map((peer) => peer.untilEnd()));
    const lines = await waitFor(() => {
      const written = family.first.stdout.split("\n").slice(0, -1);
      return written.length === peers.length ? written : undefined;
    }, "a line of each tunnel");
    const recorded = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .reduce((sum, record) => sum + Number(record["bytes_up"]) + Number(record["bytes_down"]), 0);
    expect(recorded).toBeGreaterThan(8_000_000);
    await waitFor(() => readUse(folder.path) === recorded, `${recorded} bytes in the file`);
  }, 60_000);

  needs("unshare", "mount")(
    "goes on with every fault of the disk, says so, and is exact to the byte when it is over",
    async () => {
      const rows = await runInNamespace<DiskFaultRow[]>(runner, ["-m"]);
      expect(rows).toHaveLength(6);
      for (const row of rows) {
        expect(row).toMatchObject({ reached: 429, other: 200, afterReached: 429, afterKept: "1", restartReached: 429 });
        expect([row.fault, row.used]).toEqual([row.fault, row.recorded]);
        const [first = ""] = row.told;
        expect(first).toStartWith("The ");
        expect(row.told.length).toBeLessThanOrEqual(2);
        const isOver = row.kept === "1";
        expect(JSON.parse(row.readyz)).toEqual({
          ready: true,
          ...(!isOver && { warning: expect.stringContaining("The use of users is not kept: ") }),
        });
        expect(row.afterTold).toHaveLength(isOver ? 0 : 1);
      }
    },
    120_000,
  );
});
