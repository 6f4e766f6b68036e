import { afterAll, beforeAll, expect, test } from "bun:test";
import { TokenBuckets } from "../../src/net/conn/token-buckets.ts";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import { type AdoptSocket, createAdaptiveEngine } from "../../src/proxy/flow/promotion.ts";
import { relay } from "../../src/proxy/flow/relay.ts";
import type { TunnelEngine } from "../../src/proxy/flow/tunnel.ts";
import { limitTunnels } from "../support/bucket-budget.ts";
import { countDescriptors } from "../support/laned-stand.ts";
import { startWarmLanes } from "../support/lane-stand.ts";
import { moveConnections } from "../support/move-connections.ts";
import { openGate, type TestGate } from "../support/open-gate.ts";
import { waitFor } from "../support/proxy.ts";
import { driveTunnel } from "../support/random-tunnel.ts";
import { listenRaw, type RawPeer } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";
import { createRandom } from "../support/seeded-random.ts";

/** Tunnels per engine: as many as the variable says. */
const TUNNELS = Number(process.env["MOVED_TUNNELS"] ?? 100);
const WIDTH = 16;
/** Moves of tunnels that are full of bytes, per pair of engines. */
const MOVES = Number(process.env["MOVES"] ?? 300);

const buckets = TokenBuckets.create(3);

let pool: LanePool;
beforeAll(async () => {
  pool = await startWarmLanes({ buckets });
});
afterAll(() => pool.stop());

type MakeEngine = (adopt: AdoptSocket | undefined) => TunnelEngine;

const lanesAfter =
  (bytes: number): MakeEngine =>
  (adopt) =>
    createAdaptiveEngine(pool, bytes, adopt);

const engines: readonly (readonly [string, MakeEngine, MakeEngine])[] = [
  ["two relays", () => relay, () => relay],
  ["a relay and lanes", () => relay, lanesAfter(1)],
  ["lanes and lanes", lanesAfter(1), lanesAfter(10_000)],
  [
    "a relay and lanes within budgets",
    () => limitTunnels(buckets, relay),
    (adopt) => limitTunnels(buckets, createAdaptiveEngine(pool, 10_000, adopt)),
  ],
];

test.each(engines)(
  "tunnels from a seed that move to and fro between %s arrive byte for byte, and have one line each",
  async (_, first, second) => {
    const reactor = requireReactor();
    // Nothing has to wait until its first bytes are seen.
    const config = { inspect: { tls: false } };
    await using one = openGate(config, { reactor, engine: first });
    await using two = openGate(config, { reactor, engine: second });
    const descriptors = countDescriptors();
    const random = createRandom(TUNNELS);
    const ends = { closed: 0, client_reset: 0, target_reset: 0, killed: 0 };
    const sums = { up: 0, down: 0 };
    let moves = 0;
    let begun = 0;
    let working = true;

    const work = async (): Promise<void> => {
      while (begun < TUNNELS) {
        begun += 1;
        const seed = begun;
        using server = listenRaw();
        const { peer } = await (seed % 2 === 0 ? one : two).tunnel(`127.0.0.1:${server.port}`);
        const [from, dialled] = [`127.0.0.1:${peer.socket.localPort}`, `127.0.0.1:${server.port}`];
        const target = await server.next();
        const driven = await driveTunnel(peer, target, createRandom(seed * 7919), { urgent: seed % 3 === 0 }).catch(
          (error: unknown) => {
            throw new Error(`Seed ${seed}: ${String(error)}`);
          },
        );
        const line = await waitFor(
          () => [...one.lines, ...two.lines].find(({ client, target: to }) => client === from && to === dialled),
          `the line of seed ${seed}`,
        );
        ends[driven.end] += 1;
        const [up, down] = [line["bytes_up"] as number, line["bytes_down"] as number];
        expect([seed, line["end"]]).toEqual([seed, driven.end]);
        if (driven.end === "closed") expect([up, down]).toEqual([driven.sentUp, driven.sentDown]);
        else {
          expect(up).toBeWithin(driven.gotUp, driven.sentUp + 1);
          expect(down).toBeWithin(driven.gotDown, driven.sentDown + 1);
        }
        sums.up += up;
        sums.down += down;
      }
    };

    /** Moves tunnels one way until it has been told enough, then the other way. */
    const disturb = async (): Promise<void> => {
      let [from, to]: [TestGate, TestGate] = [one, two];
      while (working) {
        moves += await moveConnections(from.gate, to.gate, random.below(2 * WIDTH), 1);
        [from, to] = [to, from];
        await Bun.sleep(0);
      }
    };

    const disturbing = disturb();
    try {
      await Promise.all(Array.from({ length: WIDTH }, work));
    } finally {
      working = false;
      await disturbing;
    }
    expect(moves).toBeGreaterThan(TUNNELS / 4);
    expect(Math.min(ends.closed, ends.client_reset, ends.target_reset)).toBeGreaterThan(0);
    await waitFor(() => one.gate.admission.connections + two.gate.admission.connections === 0, "the end of all");
    const lines = [...one.lines, ...two.lines];
    expect(lines).toHaveLength(TUNNELS);
    expect(new Set(lines.map((line) => line["id"])).size).toBe(TUNNELS);
    for (const { gate } of [one, two])
      expect([gate.live.size, gate.metrics.connectionsOpen, gate.live.bytes()]).toEqual([0, 0, { up: 0, down: 0 }]);
    expect(one.gate.metrics.bytesUp + two.gate.metrics.bytesUp).toBe(sums.up);
    expect(one.gate.metrics.bytesDown + two.gate.metrics.bytesDown).toBe(sums.down);
    expect(pool.status().tunnels).toBe(0);
    // An idle lane keeps eight pipes.
    await waitFor(() => countDescriptors() <= descriptors + 16, "descriptors to be closed");
  },
  1_800_000,
);

/** Writes at `from` until it is told to stop, and hashes what arrives at `to`, which rests now and then. */
class Stream {
  sent = 0;
  got = 0;
  stopped = false;
  readonly #sent = new Bun.CryptoHasher("sha256");
  readonly #got = new Bun.CryptoHasher("sha256");
  readonly #done: Promise<void>;

  constructor(from: RawPeer, to: RawPeer, random: ReturnType<typeof createRandom>) {
    to.consume = (chunk) => {
      this.got += chunk.length;
      this.#got.update(chunk);
      if (random.below(60) > 0) return;
      to.pause();
      setTimeout(() => to.resume(), random.below(30));
    };
    this.#done = this.#write(from, random).then(() => from.finish());
  }

  async #write(from: RawPeer, random: ReturnType<typeof createRandom>): Promise<void> {
    const pieces = [1, 700, 16_384, 300_000].map((size) => random.bytes(size));
    while (!this.stopped) {
      const piece = pieces[random.below(pieces.length)] as Uint8Array;
      this.#sent.update(piece);
      this.sent += piece.length;
      from.write(piece);
      if (from.unwrittenBytes > 0) await from.until(({ unwrittenBytes }) => unwrittenBytes === 0, "room");
      else await Bun.sleep(random.below(3));
    }
  }

  /** Resolves when everything that was sent has arrived, as it was sent. */
  async expectWhole(to: RawPeer): Promise<void> {
    this.stopped = true;
    await this.#done;
    await to.until(() => to.end !== "open", "the end");
    expect([to.end, this.got]).toEqual(["fin", this.sent]);
    expect(this.#got.digest("hex")).toBe(this.#sent.digest("hex"));
  }
}

// Not within budgets: whoever moves goes to the end of their queues, and these move all the time.
test.each(engines.slice(0, 3))(
  "tunnels full of bytes move to and fro between %s as often as one likes, and one direction after the other ends",
  async (_, first, second) => {
    const reactor = requireReactor();
    await using one = openGate({}, { reactor, engine: first });
    await using two = openGate({}, { reactor, engine: second });
    const random = createRandom(MOVES);
    using server = listenRaw();
    const stands = [];
    for (let count = 0; count < WIDTH; count += 1) {
      const { peer } = await one.tunnel(`127.0.0.1:${server.port}`);
      const target = await server.next();
      stands.push({ peer, target, up: new Stream(peer, target, random), down: new Stream(target, peer, random) });
    }
    let [from, to] = [one, two];
    let moves = 0;
    const moveOn = async (): Promise<void> => {
      moves += await moveConnections(from.gate, to.gate, WIDTH, 1);
      [from, to] = [to, from];
      await Bun.sleep(random.below(10));
    };
    while (moves < MOVES) await moveOn();
    // Half-closed tunnels move, too.
    let working = true;
    const disturbing = (async () => {
      while (working) await moveOn();
    })();
    await Promise.all(
      stands.map(async ({ peer, target, up, down }, index) => {
        const isUpFirst = index % 2 === 0;
        await (isUpFirst ? up.expectWhole(target) : down.expectWhole(peer));
        await Bun.sleep(random.below(50));
        await (isUpFirst ? down.expectWhole(peer) : up.expectWhole(target));
      }),
    ).finally(() => {
      working = false;
    });
    await disturbing;
    const lines = await waitFor(() => {
      const all = [...one.lines, ...two.lines];
      return all.length === WIDTH && all;
    }, "the lines");
    expect(new Set(lines.map((line) => line["end"]))).toEqual(new Set(["closed"]));
    const sum = (name: string): number => lines.reduce((total, line) => total + (line[name] as number), 0);
    expect(sum("bytes_up")).toBe(stands.reduce((total, { up }) => total + up.sent, 0));
    expect(sum("bytes_down")).toBe(stands.reduce((total, { down }) => total + down.sent, 0));
  },
  1_800_000,
);

test("no flow is counted as waiting for a budget once its tunnel is over", () => {
  for (const bucket of [0, 1, 2]) expect(buckets.countWaiting(bucket)).toBe(0);
});
