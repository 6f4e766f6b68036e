import { describe, expect, test } from "bun:test";
import type { Conn } from "../../src/net/conn/conn.ts";
import { type Connect, type ConnectResult, connectTcp } from "../../src/net/runtime/connect.ts";
import { createDescriptorConnect } from "../../src/net/epoll/connect-descriptor.ts";
import type { Tunnel, TunnelEngine } from "../../src/proxy/flow/tunnel.ts";
import { makeIp } from "../support/make-policy.ts";
import { requireReactor } from "../support/require-reactor.ts";
import { listenRaw, type RawPeer } from "../support/raw-peer.ts";
import { createRandom } from "../support/seeded-random.ts";
import { MSG_OOB, sendNow } from "../support/send-now.ts";

/** A test's peer and the proxy's own end of the same connection. */
export interface ConnPair {
  readonly peer: RawPeer;
  readonly conn: Conn;
}

/** Makes a connection over a socket of the runtime. */
export async function connectPair(): Promise<ConnPair> {
  return connectWith(connectTcp);
}

/** Makes a connection that the reactor drives. */
export async function connectDescriptorPair(): Promise<ConnPair> {
  return connectWith(createDescriptorConnect(requireReactor()));
}

async function connectWith(connect: Connect): Promise<ConnPair> {
  const server = listenRaw();
  const result = await new Promise<ConnectResult>((resolve) => {
    connect({ ip: makeIp("127.0.0.1"), port: server.port }, resolve);
  });
  if (!result.ok) throw new Error(result.code);
  const peer = await server.next();
  server.stop();
  return { peer, conn: result.conn };
}

/** Both peers of a tunnel, and the tunnel between them. */
export interface TunnelStand {
  readonly client: RawPeer;
  readonly target: RawPeer;
  readonly tunnel: Tunnel;
}

export interface StandOptions {
  readonly idleMs?: number;
  /** Bytes that the proxy has already read from the client, and from the target. */
  readonly early?: string;
  readonly late?: string;
}

/** How the two connections of a tunnel are made; over TCP and the runtime's sockets when absent. */
export interface TunnelStandEnds {
  readonly client?: () => Promise<ConnPair>;
  readonly target?: () => Promise<ConnPair>;
  /** What a test writes at one of the ends is encrypted on its way. */
  readonly encrypted?: boolean;
}

/** Both over descriptors that the reactor drives. */
export const descriptorEnds: TunnelStandEnds = { client: connectDescriptorPair, target: connectDescriptorPair };

/** Makes two connections and lets `engine` carry bytes between them. */
export async function connectTunnel(
  engine: TunnelEngine,
  options: StandOptions = {},
  ends: TunnelStandEnds = {},
): Promise<TunnelStand> {
  const near = await (ends.client ?? connectPair)();
  const far = await (ends.target ?? connectPair)();
  if (options.early !== undefined) near.conn.unread(Buffer.from(options.early));
  if (options.late !== undefined) far.conn.unread(Buffer.from(options.late));
  return {
    client: near.peer,
    target: far.peer,
    tunnel: engine(near.conn, far.conn, { idleMs: options.idleMs ?? 0 }),
  };
}

/** What every engine that carries tunnels owes: the same suite runs against each. */
export function describeTunnelContract(name: string, engine: TunnelEngine, ends?: TunnelStandEnds): void {
  const stand = (options?: StandOptions): Promise<TunnelStand> => connectTunnel(engine, options, ends);

  describe(`a tunnel carried by the ${name}`, () => {
    if (ends?.encrypted !== true) describeUrgentBytes(stand);

    test("carries bytes both ways and counts them exactly", async () => {
      const { client, target, tunnel } = await stand();
      client.write("ping");
      await target.untilText("ping");
      target.write("pong!");
      await client.untilText("pong!");
      await untilCounted(client, tunnel, 4, 5);
      client.finish();
      target.finish();
      expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 4, bytesDown: 5 });
    });

    test("delivers what waited on either side first", async () => {
      const { client, target, tunnel } = await stand({ early: "early,", late: "late," });
      client.write("then");
      target.write("after");
      await target.untilText("early,then");
      await client.untilText("late,after");
      await untilCounted(client, tunnel, 10, 10);
      tunnel.kill("killed");
    });

    test("passes the client's half-close on and lets the target finish", async () => {
      const { client, target, tunnel } = await stand();
      client.write("question");
      client.finish();
      await target.untilEnd();
      expect([target.text, target.end]).toEqual(["question", "fin"]);
      target.write("answer");
      await client.untilText("answer");
      expect(client.end).toBe("open");
      target.finish();
      await client.untilEnd();
      expect(client.end).toBe("fin");
      expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 8, bytesDown: 6 });
    });

    test("passes the target's half-close on and lets the client finish", async () => {
      const { client, target, tunnel } = await stand();
      target.write("banner");
      target.finish();
      await client.untilEnd();
      expect([client.text, client.end]).toEqual(["banner", "fin"]);
      client.write("last words");
      await target.untilText("last words");
      client.finish();
      expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 10, bytesDown: 6 });
    });

    test("turns a reset of the client into a reset of the target", async () => {
      const { client, target, tunnel } = await stand();
      client.write("x");
      await target.untilText("x");
      client.reset();
      await target.untilEnd();
      expect(target.end).toBe("reset");
      expect((await tunnel.done).end).toBe("client_reset");
    });

    test("turns a reset of the target into a reset of the client", async () => {
      const { client, target, tunnel } = await stand();
      target.write("x");
      await client.untilText("x");
      target.reset();
      await client.untilEnd();
      expect(client.end).toBe("reset");
      expect((await tunnel.done).end).toBe("target_reset");
    });

    test("notices a reset of the client while the target reads nothing", async () => {
      const { client, target, tunnel } = await stand();
      target.pause();
      client.write(Buffer.alloc(32 * 1024 * 1024));
      await client.until((peer) => peer.unwrittenBytes > 0, "a full tunnel");
      client.reset();
      expect((await tunnel.done).end).toBe("client_reset");
      target.resume();
      await target.until((peer) => peer.closed, "the end of the target's connection");
    });

    test("never takes a reset for an end in order, also when it hears of it by writing", async () => {
      for (let round = 0; round < 30; round += 1) {
        const { client, target, tunnel } = await stand();
        target.write("x");
        await client.untilText("x");
        if (round % 2 === 0) client.write("for nobody");
        target.reset();
        if (round % 2 === 1) client.write("for nobody");
        await client.untilEnd();
        expect(client.end).toBe("reset");
        expect((await tunnel.done).end).toBe("target_reset");
      }
    });

    test("notices a reset that it hears of by writing while the client reads nothing", async () => {
      const { client, target, tunnel } = await stand();
      client.pause();
      target.write(Buffer.alloc(32 * 1024 * 1024));
      await target.until((peer) => peer.unwrittenBytes > 0, "a full tunnel");
      client.write("for nobody");
      target.reset();
      expect((await tunnel.done).end).toBe("target_reset");
    });

    test("is closed after its idle time, and not while bytes move", async () => {
      // Longer where this machine itself makes pauses of that length.
      for (let idleMs = 250; ; idleMs *= 2) {
        const { client, target, tunnel } = await stand({ idleMs });
        const begun = performance.now();
        let [at, longestMs, sent] = [begun, 0, 0];
        while (at < begun + 2 * idleMs && !target.closed) {
          client.write("tick");
          sent += 4;
          await target.until((peer) => peer.receivedBytes === sent || peer.closed);
          await Bun.sleep(20);
          const now = performance.now();
          longestMs = Math.max(longestMs, now - at);
          at = now;
        }
        const wasOpen = !target.closed;
        const result = await tunnel.done;
        await Promise.all([client.untilEnd(), target.untilEnd()]);
        if (longestMs > idleMs / 2) continue;
        expect(result).toEqual({ end: "idle_timeout", bytesUp: sent, bytesDown: 0 });
        expect([target.receivedBytes, wasOpen]).toEqual([sent, true]);
        return;
      }
    });

    test("ends at once when it is killed", async () => {
      const { client, target, tunnel } = await stand();
      client.write("x");
      await target.untilText("x");
      tunnel.kill("killed");
      await Promise.all([client.untilEnd(), target.untilEnd()]);
      expect(await tunnel.done).toEqual({ end: "killed", bytesUp: 1, bytesDown: 0 });
    });

    test("stops its writer when its reader stops, and loses nothing", async () => {
      const { client, target, tunnel } = await stand();
      // More than the kernel buffers on the way can grow to (tcp_rmem, tcp_wmem): tens of megabytes.
      const total = 96 * 1024 * 1024;
      const payload = createRandom(7).bytes(1024 * 1024);
      const sent = new Bun.CryptoHasher("sha256");
      const got = new Bun.CryptoHasher("sha256");
      client.pause();
      client.consume = (chunk) => got.update(chunk);
      for (let at = 0; at < total; at += payload.length) {
        target.write(payload);
        sent.update(payload);
      }
      target.finish();
      // The flood stands still well before its end: nobody on the way keeps it in memory.
      let before = -1;
      while (target.unwrittenBytes !== before) {
        before = target.unwrittenBytes;
        await Bun.sleep(150);
      }
      expect(target.unwrittenBytes).toBeGreaterThan(total / 4);
      client.resume();
      await client.untilEnd();
      client.finish();
      expect(client.receivedBytes).toBe(total);
      expect(got.digest("hex")).toBe(sent.digest("hex"));
      expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 0, bytesDown: total });
    });

    test("carries random traffic, pauses and half-closes from a seed, byte for byte", async () => {
      const random = createRandom(20);
      await Promise.all(
        Array.from({ length: 24 }, async () => {
          const { client, target, tunnel } = await stand();
          const one = sendRandomly(client, random);
          const other = sendRandomly(target, random);
          const hashes = [listenTo(target), listenTo(client)];
          const [sentUp, sentDown] = await Promise.all([one, other]);
          const result = await tunnel.done;
          await Promise.all([client.untilEnd(), target.untilEnd()]);
          expect(result).toEqual({ end: "closed", bytesUp: sentUp.bytes, bytesDown: sentDown.bytes });
          expect(hashes.map((hash) => hash.digest("hex"))).toEqual([sentUp.hash, sentDown.hash]);
        }),
      );
    });
  });
}

/** A peer may see the last bytes a moment before another thread has counted them. */
function untilCounted(peer: RawPeer, tunnel: Tunnel, up: number, down: number): Promise<void> {
  return peer.until(() => tunnel.bytes().up === up && tunnel.bytes().down === down, `${up} bytes up and ${down} down`);
}

function listenTo(peer: RawPeer): Bun.CryptoHasher {
  const hash = new Bun.CryptoHasher("sha256");
  peer.consume = (chunk) => {
    hash.update(chunk);
    if (chunk.length % 7 === 0) {
      peer.pause();
      setTimeout(() => peer.resume(), 2);
    }
  };
  return hash;
}

async function sendRandomly(
  peer: RawPeer,
  random: ReturnType<typeof createRandom>,
): Promise<{ bytes: number; hash: string }> {
  const hash = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  const rounds = 1 + random.below(12);
  for (let round = 0; round < rounds; round += 1) {
    const chunk = random.bytes(1 + random.below(random.below(3) === 0 ? 300_000 : 3000));
    hash.update(chunk);
    bytes += chunk.length;
    peer.write(chunk);
    if (random.below(2) === 0) await Bun.sleep(random.below(8));
  }
  peer.finish();
  return { bytes, hash: hash.digest("hex") };
}

/** What is true of TCP in clear: inside of TLS there are no urgent bytes. */
function describeUrgentBytes(stand: () => Promise<TunnelStand>): void {
  test("delivers urgent bytes in their place, and what is behind them, both ways", async () => {
    const { client, target, tunnel } = await stand();
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      for (const text of ["AAAA", "!", "BBBB", "?"]) sendNow(from, text, text.length === 1 ? MSG_OOB : 0);
      await to.untilText("AAAA!BBBB?");
      // At the mark itself, with nothing before it and nothing behind.
      sendNow(from, "#", MSG_OOB);
      await to.untilText("AAAA!BBBB?#");
    }
    client.finish();
    target.finish();
    expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 11, bytesDown: 11 });
  });

  test("delivers bulk with urgent bytes in it whole, and only then its end", async () => {
    const { client, target, tunnel } = await stand();
    const sent = createRandom(11).bytes(6_000_000);
    let at = 0;
    for (let round = 0; at < sent.length; round += 1) {
      const urgent = round % 3 === 2;
      const part = sent.subarray(at, at + (urgent ? 1 : 70_000));
      at += Math.max(0, sendNow(client, part, urgent ? MSG_OOB : 0));
      if (round % 8 === 0 || target.receivedBytes < at - 1_000_000) await Bun.sleep(1);
    }
    client.finish();
    await target.untilEnd();
    expect([target.receivedBytes, target.end]).toEqual([sent.length, "fin"]);
    expect(Bun.hash(target.received)).toBe(Bun.hash(sent));
    target.finish();
    expect(await tunnel.done).toEqual({ end: "closed", bytesUp: sent.length, bytesDown: 0 });
  });
}
