import { expect, test } from "bun:test";
import { openTunnel } from "../support/ask-tunnel.ts";
import { startExecutable } from "../support/executable.ts";
import { type DrivenTunnel, driveTunnel } from "../support/random-tunnel.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { createRandom } from "../support/seeded-random.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const TUNNELS = Number(process.env["RANDOM_TUNNELS"] ?? 150);
const WIDTH = 16;

test.each(["auto", "off"])(
  "tunnels from a seed arrive byte for byte through the executable, and are recorded as they were, with splicing %s",
  async (splice) => {
    await using folder = await makeFolder({
      "proxy.config.json": {
        listen: ["127.0.0.1:0"],
        rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
        splice,
        spliceAfter: "10KiB",
      },
    });
    await using proxy = await startExecutable({ cwd: folder.path });
    let begun = 0;
    const driven = new Map<number, DrivenTunnel[]>();
    const work = async (): Promise<void> => {
      using origin = listenRaw();
      const mine: DrivenTunnel[] = [];
      driven.set(origin.port, mine);
      while (begun < TUNNELS) {
        begun += 1;
        const seed = begun;
        const client = await openTunnel(proxy.port, `127.0.0.1:${origin.port}`);
        const tunnel = driveTunnel(client, await origin.next(), createRandom(seed * 7919));
        mine.push(
          await tunnel.catch((error: unknown) => {
            throw new Error(`Seed ${seed}: ${String(error)}`);
          }),
        );
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, work));
    await waitFor(() => proxy.stdout.split("\n").length - 1 === TUNNELS, "a record of each");
    const { records } = proxy;
    for (const [port, tunnels] of driven) {
      const theirs = records.filter((record) => record["target"] === `127.0.0.1:${port}`);
      const facts = (end: unknown, up: unknown, down: unknown): string =>
        `${String(end)} ${String(up)} ${String(down)}`;
      // A reset voids what is on the way, so the counts of such tunnels are only known from both sides.
      const wanted = tunnels.filter(({ end }) => end === "closed").map((t) => facts(t.end, t.sentUp, t.sentDown));
      const closed = theirs.filter((record) => record["end"] === "closed");
      expect(closed.map((r) => facts(r["end"], r["bytes_up"], r["bytes_down"])).sort()).toEqual(wanted.sort());
      expect(theirs.map((record) => String(record["end"])).sort()).toEqual(tunnels.map(({ end }) => end).sort());
    }
  },
  1_800_000,
);
