import { Database } from "bun:sqlite";
import { describe, expect } from "bun:test";
import { writeFile } from "node:fs/promises";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { type ServingExecutable, startExecutable } from "../support/executable.ts";
import { needs } from "../support/needs.ts";
import { expectProgram } from "../support/program.ts";
import { writeConfig } from "../support/proxy-family.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const DAY_S = 86_400;
const NOON_S = DAY_S / 2;

const config = writeConfig({
  users: [
    { name: "spent", password: "one", limits: { bytes: { day: "1KB" } } },
    { name: "hasty", password: "two", limits: { rate: "2/h" } },
    { name: "slow", password: "three", limits: { bandwidth: "200KB/s", bytes: { month: "1GB" } } },
  ],
  state: { folder: "state" },
  limits: { onQuota: "finish" },
});

/** A proxy whose wall clock can be set, by libfaketime. Its monotonic clock goes on as it is. */
async function startWithClock(folder: TemporaryFolder): Promise<ServingExecutable> {
  // What `faketime` would set, but for the clock that follows a file.
  const library = await expectProgram(["faketime", "-f", "+0", "sh", "-c", "printf %s $LD_PRELOAD"]);
  return startExecutable({
    cwd: folder.path,
    within: [
      "env",
      `LD_PRELOAD=${library}`,
      `FAKETIME_TIMESTAMP_FILE=${folder.path}/clock`,
      "FAKETIME_NO_CACHE=1",
      "FAKETIME_DONT_FAKE_MONOTONIC=1",
      "PENSTOCK_SIDECAR_TOKEN=t0ken",
    ],
  });
}

/** Status, limit and `Retry-After` of a refusal. */
function readRefusal(answer: string) {
  return {
    status: Number(answer.slice(9, 12)),
    limit: /details="\w+ ([\w.]+)/.exec(answer)?.[1],
    wait: Number(/\r\nRetry-After: (\d+)\r\n/.exec(answer)?.[1]),
  };
}

/** Days under which use of a user is kept. */
function listDays(folder: string, user: string): number {
  using database = new Database(`${folder}/state/usage.db`, { readonly: true });
  return (
    database.query<{ days: number }, [string]>("SELECT COUNT(*) AS days FROM use WHERE user = ?").get(user)?.days ?? 0
  );
}

describe("a clock that is set while the proxy runs", () => {
  needs("faketime")("opens no quota and no rate, ends no tunnel, and is told", async () => {
    await findExecutable();
    await using folder = await makeFolder(config);
    using origin = listenEcho();
    const target = `127.0.0.1:${origin.port}`;
    // At noon, so that no midnight comes by itself.
    const noon = NOON_S - (Math.floor(Date.now() / 1000) % DAY_S);
    const setClock = (ahead: number) =>
      writeFile(`${folder.path}/clock`, `${noon + ahead >= 0 ? "+" : ""}${noon + ahead}`);
    await setClock(0);
    const moves = async (proxy: ServingExecutable, bytes: number) => {
      const peer = await openTunnel(proxy.port, target, "slow:three");
      peer.write(Buffer.alloc(bytes, "x"));
      await peer.untilReceived(bytes);
      peer.finish();
      await peer.untilEnd();
    };
    /** What both users are told who have nothing left. */
    const askBoth = async (proxy: ServingExecutable) => {
      const [spent, hasty] = [
        readRefusal(await askInVain(proxy.port, target, "spent:one")),
        readRefusal(await askInVain(proxy.port, target, "hasty:two")),
      ];
      expect([spent.status, spent.limit]).toEqual([429, "perUser.bytes.day"]);
      expect([hasty.status, hasty.limit]).toEqual([429, "perUser.rate"]);
      // The rate knows no day: what is left to wait only becomes less.
      expect(hasty.wait).toBeLessThanOrEqual(1800);
      expect(hasty.wait).toBeGreaterThan(1500);
      return spent.wait;
    };
    {
      await using proxy = await startWithClock(folder);
      const held = await openTunnel(proxy.port, target, "spent:one");
      held.write(Buffer.alloc(600, "x"));
      await held.untilReceived(600);
      for (let at = 0; at < 2; at += 1) (await openTunnel(proxy.port, target, "hasty:two")).reset();
      await moves(proxy, 40_000);
      // What a tunnel moves counts within 0.4 s, and is kept then.
      await waitFor(async () => listDays(folder.path, "spent") === 1, "the use of the tunnel");
      expect(await askBoth(proxy)).toBeWithin(NOON_S - 300, NOON_S + 1);

      await setClock(DAY_S);
      await proxy.untilTold(
        "The clock was set 86400 s ahead. Days and months of quotas follow it in 10 minutes if it stays there.",
      );
      expect(await askBoth(proxy)).toBeWithin(NOON_S - 300, NOON_S + 1);
      await moves(proxy, 40_000);

      await setClock(0);
      await proxy.untilTold("The clock is back. Quotas were not touched.");
      expect(await askBoth(proxy)).toBeWithin(NOON_S - 300, NOON_S + 1);

      await setClock(-DAY_S);
      await proxy.untilTold("The clock shows an earlier day than ");
      // The day ends when the clock has passed it.
      expect(await askBoth(proxy)).toBeWithin(DAY_S - 300, DAY_S + NOON_S + 1);
      await moves(proxy, 40_000);

      held.write(Buffer.alloc(100, "y"));
      await held.untilReceived(700);
      held.finish();
      await held.untilEnd();
      const record = await proxy.record(({ user, status }) => user === "spent" && status === 200);
      expect(record).toMatchObject({ bytes_up: 700, bytes_down: 700 });
      expect(Number(record["ms"])).toBeWithin(0, 120_000);
      proxy.signal("SIGTERM");
      expect(await proxy.exited).toBe(0);
    }
    // All of it on one day, whatever the clock showed.
    expect([listDays(folder.path, "spent"), listDays(folder.path, "slow")]).toEqual([1, 1]);
    {
      // The clock is still a day behind.
      await using proxy = await startWithClock(folder);
      await proxy.untilTold("The clock shows an earlier day than ");
      expect(readRefusal(await askInVain(proxy.port, target, "spent:one"))).toMatchObject({
        status: 429,
        limit: "perUser.bytes.day",
      });
      await moves(proxy, 100);
      await setClock(0);
      await proxy.untilTold("The clock is back. Quotas were not touched.");
      // The day goes on to its midnight.
      expect(readRefusal(await askInVain(proxy.port, target, "spent:one")).wait).toBeWithin(NOON_S - 300, NOON_S + 1);
      proxy.signal("SIGTERM");
      expect(await proxy.exited).toBe(0);
    }
    expect([listDays(folder.path, "spent"), listDays(folder.path, "slow")]).toEqual([1, 1]);
  });
});
