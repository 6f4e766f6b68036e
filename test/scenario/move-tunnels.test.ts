import { describe, expect, test } from "bun:test";
import type { Movable } from "../../src/gate/movable.ts";
import { makeKeystream } from "../support/keystream.ts";
import { openGate as open, type TestGate } from "../support/open-gate.ts";
import { basic, waitFor } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";

function openGate(config: Parameters<typeof open>[0]): TestGate {
  return open(config, { reactor: requireReactor() });
}

/** Takes what can move now, as it would go over the wire. */
async function takeAll(from: TestGate, count: number): Promise<Movable[]> {
  const taken: Movable[] = [];
  for await (const { state, descriptors } of from.gate.release()) {
    taken.push({ state: JSON.parse(JSON.stringify(state)) as Movable["state"], descriptors });
    if (taken.length === count) break;
  }
  return taken;
}

async function move(from: TestGate, to: TestGate, count = 1): Promise<void> {
  for (const movable of await takeAll(from, count)) expect(to.gate.receive(movable)).toBe(true);
}

describe("a tunnel that moves to another gate", () => {
  test("goes on with its bytes, its record and its slots, and has one line in the log", async () => {
    using echo = listenEcho();
    const target = `127.0.0.1:${echo.port}`;
    const config = { users: [{ name: "ann", password: "one" }], limits: { perUser: { connections: 5 } } };
    await using one = openGate(config);
    await using two = openGate(config);
    const { peer } = await one.tunnel(target, basic("ann", "one"));
    peer.write("before");
    await peer.untilText("before");
    const [listed] = one.gate.live.list(performance.now());
    await move(one, two);
    expect([one.gate.live.size, one.gate.admission.connections, one.gate.metrics.connectionsOpen]).toEqual([0, 0, 0]);
    expect([two.gate.live.size, two.gate.admission.connections, two.gate.metrics.connectionsOpen]).toEqual([1, 1, 1]);
    const [moved] = two.gate.live.list(performance.now());
    expect({ ...moved, ageMs: 0 }).toEqual({ ...listed, ageMs: 0 } as never);
    expect(moved?.ageMs).toBeGreaterThanOrEqual(listed?.ageMs ?? 0);
    peer.write(", after");
    await peer.untilText("before, after");
    peer.finish();
    await peer.untilEnd();
    await waitFor(() => two.lines.length > 0, "the line");
    expect(one.lines).toEqual([]);
    expect(two.lines).toHaveLength(1);
    expect(two.lines[0]).toMatchObject({
      id: listed?.id,
      listener: listed?.listener,
      client: listed?.client,
      user: "ann",
      protocol: "http",
      method: "CONNECT",
      target,
      dialled: target,
      rule: listed?.rule,
      route: "direct",
      status: 200,
      end: "closed",
      bytes_up: 13,
      bytes_down: 13,
    });
    expect(Object.keys(two.lines[0]?.["stage_ms"] as object)).toContain("dial");
    expect([two.gate.live.size, two.gate.admission.connections, two.gate.metrics.connectionsOpen]).toEqual([0, 0, 0]);
    // Bytes count where they were moved.
    expect([one.gate.metrics.bytesUp, two.gate.metrics.bytesUp]).toEqual([6, 7]);
    expect(one.gate.metrics.tunnelEnds.closed + two.gate.metrics.tunnelEnds.closed).toBe(1);
  });

  test("goes on with what a stalled reader has not taken", async () => {
    using server = listenRaw();
    await using one = openGate({});
    await using two = openGate({});
    const { peer } = await one.tunnel(`127.0.0.1:${server.port}`);
    const origin = await server.next();
    peer.pause();
    const sent = new Bun.CryptoHasher("sha256");
    const total = 48 * 1024 * 1024;
    for (const piece of makeKeystream(total)) {
      sent.update(piece);
      origin.write(piece);
    }
    let before = -1;
    await waitFor(() => {
      const { down } = one.gate.live.bytes();
      const isFull = down > 0 && down === before && origin.unwrittenBytes > 0;
      before = down;
      return isFull;
    }, "a full tunnel");
    const [movable] = (await takeAll(one, 1)) as [Movable];
    expect(movable.state).toHaveProperty("restDown");
    expect(two.gate.receive(movable)).toBe(true);
    origin.finish();
    const got = new Bun.CryptoHasher("sha256");
    let received = 0;
    peer.consume = (chunk) => {
      received += chunk.length;
      got.update(chunk);
    };
    peer.resume();
    await peer.untilEnd();
    expect([peer.end, received]).toEqual(["fin", total]);
    expect(got.digest("hex")).toBe(sent.digest("hex"));
    peer.finish();
    await waitFor(() => two.lines.length > 0, "the line");
    expect(two.lines[0]).toMatchObject({ end: "closed", bytes_up: 0, bytes_down: total });
  });

  test.each(["client", "target"] as const)("goes on when the %s has said all it had to say", async (side) => {
    using server = listenRaw();
    await using one = openGate({});
    await using two = openGate({});
    const { peer } = await one.tunnel(`127.0.0.1:${server.port}`);
    const origin = await server.next();
    const [ended, other] = side === "client" ? [peer, origin] : [origin, peer];
    ended.write("all I had to say");
    ended.finish();
    await other.untilEnd();

    await move(one, two);

    other.write("the answer");
    await ended.untilText("the answer");

    other.finish();
    await ended.untilEnd();

    expect([ended.end, other.end]).toEqual(["fin", "fin"]);
    await waitFor(() => two.lines.length > 0, "the line");
    expect(two.lines[0]).toMatchObject({ end: "closed" });
  });
});
