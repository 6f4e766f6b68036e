import { afterAll, beforeAll, expect, test } from "bun:test";
import { adoptSocket } from "../../src/net/epoll/descriptor-conn.ts";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import { createAdaptiveEngine } from "../../src/proxy/flow/promotion.ts";
import type { Observer, Tunnel, WatchedTunnel } from "../../src/proxy/flow/tunnel.ts";
import { makeKeystream } from "../support/keystream.ts";
import { startWarmLanes } from "../support/lane-stand.ts";
import { waitFor } from "../support/proxy.ts";
import type { RawPeer } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";
import { createRandom } from "../support/seeded-random.ts";
import { connectTunnel, descriptorEnds } from "./tunnel-contract.ts";

/** Tunnels under fire, and promotions of tunnels that come and go: as many as the variables say. */
const RETURNS = Number(process.env["RETURNS"] ?? 40);
const PROMOTIONS = Number(process.env["PROMOTIONS"] ?? 2000);

let pool: LanePool;
beforeAll(async () => {
  pool = await startWarmLanes();
});
afterAll(() => pool.stop());

const adopt = (fd: number) => adoptSocket(requireReactor(), fd);

class Watcher implements Observer {
  tunnel: WatchedTunnel | undefined;
  text = "";
  bytes = 0;
  end: string | undefined;

  begin(tunnel: WatchedTunnel): void {
    this.tunnel = tunnel;
  }
  came(_from: string, bytes: Uint8Array): void {
    this.bytes += bytes.length;
    if (this.text.length < 100) this.text += Buffer.from(bytes).toString("latin1");
  }
  went(): void {
    // What went is what came.
  }
  ended(): void {
    // Its end is looked at in `over`.
  }
  finished(): void {
    // The same.
  }
  over(end: string): void {
    this.end = end;
  }
}

test("a tunnel in a lane comes back for somebody who watches it, and goes to a lane again afterwards", async () => {
  const { client, target, tunnel } = await connectTunnel(createAdaptiveEngine(pool, 1, adopt), {}, descriptorEnds);
  client.write("before");
  await target.untilText("before");
  await waitFor(() => pool.status().tunnels === 1, "the lane");
  const watcher = new Watcher();
  tunnel.watch?.(watcher);
  await waitFor(() => watcher.tunnel !== undefined, "the return");
  expect(pool.status().tunnels).toBe(0);
  expect(watcher.tunnel?.passed).toEqual({ up: 6, down: 0 });
  expect(watcher.tunnel?.ends.client.remotePort).toBe(client.socket.localPort);
  client.write(", while");
  target.write("an answer");
  await target.untilText("before, while");
  await client.untilText("an answer");
  expect([...watcher.text].toSorted().join("")).toBe([...", whilean answer"].toSorted().join(""));
  watcher.tunnel?.lookAway();
  client.write(", after");
  await target.untilText("before, while, after");
  await waitFor(() => pool.status().tunnels === 1, "the lane again");
  expect(tunnel.bytes()).toEqual({ up: 20, down: 9 });
  client.finish();
  target.finish();
  expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 20, bytesDown: 9 });
});

test("a half-closed tunnel comes back, too", async () => {
  const { client, target, tunnel } = await connectTunnel(createAdaptiveEngine(pool, 1, adopt), {}, descriptorEnds);
  client.write("x");
  await target.untilText("x");
  await waitFor(() => pool.status().tunnels === 1, "the lane");
  client.finish();
  await target.untilEnd();
  const watcher = new Watcher();
  tunnel.watch?.(watcher);
  await waitFor(() => watcher.tunnel !== undefined, "the return");
  expect(watcher.tunnel?.passed).toEqual({ up: 1, down: 0 });
  target.write("answer");
  await client.untilText("answer");
  expect(watcher.text).toBe("answer");
  target.finish();
  expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 1, bytesDown: 6 });
});

test("a tunnel whose reader is stuck comes back with the bytes that the reader has not taken", async () => {
  const { client, target, tunnel } = await connectTunnel(createAdaptiveEngine(pool, 1, adopt), {}, descriptorEnds);
  client.write("x");
  await target.untilText("x");
  await waitFor(() => pool.status().tunnels === 1, "the lane");
  client.pause();
  const [sent, got] = [new Bun.CryptoHasher("sha256"), new Bun.CryptoHasher("sha256")];
  const total = 48 * 1_048_576;
  for (const piece of makeKeystream(total)) {
    sent.update(piece);
    target.write(piece);
  }
  let before = -1;
  await waitFor(() => {
    const { down } = tunnel.bytes();
    const isFull = down > 0 && down === before && target.unwrittenBytes > 0;
    before = down;
    return isFull;
  }, "a full tunnel");
  const watcher = new Watcher();
  tunnel.watch?.(watcher);
  await waitFor(() => watcher.tunnel !== undefined, "the return");
  expect(pool.status().tunnels).toBe(0);
  client.consume = (chunk) => got.update(chunk);
  client.resume();
  target.finish();
  await client.untilEnd();
  client.finish();
  expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 1, bytesDown: total });
  expect(got.digest("hex")).toBe(sent.digest("hex"));
  // The observer has not seen what was in a pipe before it came.
  const unseen = total - (watcher.tunnel?.passed.down ?? 0) - watcher.bytes;
  expect(unseen).toBeGreaterThan(0);
  expect(unseen).toBeLessThanOrEqual(1_048_576);
});

test("a tunnel that is to end while it comes back ends", async () => {
  const { client, target, tunnel } = await connectTunnel(createAdaptiveEngine(pool, 1, adopt), {}, descriptorEnds);
  client.write("x");
  await target.untilText("x");
  await waitFor(() => pool.status().tunnels === 1, "the lane");
  tunnel.watch?.(new Watcher());
  tunnel.kill("drained");
  expect((await tunnel.done).end).toBe("drained");
  await Promise.all([client.untilEnd(), target.untilEnd()]);
});

test("coming back and leaving again under fire loses, repeats and reorders nothing", async () => {
  const random = createRandom(4711);
  let returned = 0;
  const disturb = (tunnel: Tunnel): void => {
    const watcher = new Watcher();
    tunnel.watch?.(watcher);
    void waitFor(() => watcher.tunnel !== undefined || watcher.end !== undefined, "a return")
      .then(() => {
        returned += 1;
        watcher.tunnel?.lookAway();
      })
      .catch(() => {});
  };
  for (let done = 0; done < RETURNS; done += 8) {
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const engine = createAdaptiveEngine(pool, 1 + random.below(20_000), adopt);
        const { client, target, tunnel } = await connectTunnel(engine, {}, descriptorEnds);
        const [sentUp, sentDown, gotUp, gotDown] = Array.from({ length: 4 }, () => new Bun.CryptoHasher("sha256"));
        target.consume = (chunk) => gotUp?.update(chunk);
        client.consume = (chunk) => gotDown?.update(chunk);
        let [up, down] = [0, 0];
        for (let round = 0; round < 60; round += 1) {
          const [one, other] = [random.bytes(1 + random.below(30_000)), random.bytes(1 + random.below(30_000))];
          sentUp?.update(one);
          sentDown?.update(other);
          client.write(one);
          target.write(other);
          up += one.length;
          down += other.length;
          if (random.below(8) === 0) disturb(tunnel);
          if (random.below(3) === 0) await Bun.sleep(0);
        }
        await target.until(() => target.receivedBytes === up, "all upward bytes");
        await client.until(() => client.receivedBytes === down, "all downward bytes");
        client.finish();
        target.finish();
        expect(await tunnel.done).toEqual({ end: "closed", bytesUp: up, bytesDown: down });
        expect(gotUp?.digest("hex")).toBe(sentUp?.digest("hex"));
        expect(gotDown?.digest("hex")).toBe(sentDown?.digest("hex"));
      }),
    );
  }
  expect(returned).toBeGreaterThan(0);
}, 600_000);

/** One side of a conversation: whatever it hears, it says something more. */
class Talker {
  readonly said = new Bun.CryptoHasher("sha256");
  readonly heard = new Bun.CryptoHasher("sha256");
  saidBytes = 0;
  silent = false;

  constructor(peer: RawPeer, random: ReturnType<typeof createRandom>, whenHeard: () => void) {
    const say = (): void => {
      const chunk = random.bytes(1 + random.below(300));
      this.said.update(chunk);
      this.saidBytes += chunk.length;
      peer.write(chunk);
    };
    peer.consume = (chunk) => {
      this.heard.update(chunk);
      if (!this.silent) say();
      whenHeard();
    };
    say();
    say();
  }
}

test("tunnels that go to a lane and come back all the time, while both sides talk, lose nothing", async () => {
  const random = createRandom(20_261_128);
  let promotions = 0;
  const talk = async (): Promise<void> => {
    const { client, target, tunnel } = await connectTunnel(createAdaptiveEngine(pool, 1, adopt), {}, descriptorEnds);
    const enough = Promise.withResolvers<void>();
    let asked = false;
    const disturb = (): void => {
      if (promotions >= PROMOTIONS) enough.resolve();
      if (asked) return;
      asked = true;
      let now = true;
      tunnel.watch?.({
        begin: ({ lookAway }) => {
          // In the relay it is told at once; from a lane the tunnel had to come back first.
          if (!now) promotions += 1;
          asked = false;
          lookAway();
        },
        came() {},
        went() {},
        ended() {},
        finished() {},
        over() {},
      });
      now = false;
    };
    const talkers = [new Talker(client, random, disturb), new Talker(target, random, disturb)] as const;
    await enough.promise;
    const [one, other] = talkers;
    one.silent = other.silent = true;
    await target.until(() => target.receivedBytes === one.saidBytes, "all that the client said");
    await client.until(() => client.receivedBytes === other.saidBytes, "all that the target said");
    client.finish();
    target.finish();
    expect(await tunnel.done).toEqual({ end: "closed", bytesUp: one.saidBytes, bytesDown: other.saidBytes });
    expect(other.heard.digest("hex")).toBe(one.said.digest("hex"));
    expect(one.heard.digest("hex")).toBe(other.said.digest("hex"));
  };
  await Promise.all(Array.from({ length: 16 }, talk));
  expect(promotions).toBeGreaterThanOrEqual(PROMOTIONS);
}, 3_600_000);
