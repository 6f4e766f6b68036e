import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import type { Movable } from "../../src/gate/movable.ts";
import type { Capture } from "../../src/proxy/record/capture.ts";
import { buildClientHello, buildMessage, buildRecords, serverName } from "../support/build-client-hello.ts";
import { makeKeystream } from "../support/keystream.ts";
import { moveConnections, readActiveAt, takeConnections } from "../support/move-connections.ts";
import { openGate as open, type TestGate } from "../support/open-gate.ts";
import { basic, waitFor } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";

function openGate(config: Parameters<typeof open>[0]): TestGate {
  return open(config, { reactor: requireReactor() });
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
    await moveConnections(one.gate, two.gate, 1);
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

  test("keeps the parameters in its user name, so that new rules judge it by them", async () => {
    using echo = listenEcho();
    const users = [{ name: "ann", password: "one" }];
    const rules = [{ parameters: { country: ["de"] }, allowPrivate: true }];
    const config: PenstockConfig = { users, auth: { parameters: ["session", "country"] }, rules, default: "deny" };
    await using one = openGate(config);
    await using two = openGate(config);
    const { peer, status } = await one.tunnel(`127.0.0.1:${echo.port}`, basic("ann-session-a1-country-de", "one"));
    expect(status).toBe("200");
    const parameters = { session: "a1", country: "de" };
    await moveConnections(one.gate, two.gate, 1);
    expect(two.gate.live.list(performance.now())[0]).toMatchObject({ user: "ann", parameters });
    expect(await two.gate.endDenied()).toBe(0);
    peer.write("still here");
    await peer.untilText("still here");
    peer.finish();
    await waitFor(() => two.lines.length > 0, "the line");
    expect(two.lines[0]).toMatchObject({ user: "ann", parameters, end: "closed" });
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
    const [movable] = (await takeConnections(one.gate, 1)) as [Movable];
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

    await moveConnections(one.gate, two.gate, 1);

    other.write("the answer");
    await ended.untilText("the answer");

    other.finish();
    await ended.untilEnd();

    expect([ended.end, other.end]).toEqual(["fin", "fin"]);
    await waitFor(() => two.lines.length > 0, "the line");
    expect(two.lines[0]).toMatchObject({ end: "closed" });
  });

  test.each(["client", "target"] as const)(
    "goes on for a stuck %s when the other side is gone",
    async (side) => {
      using server = listenRaw();
      await using one = openGate({});
      await using two = openGate({});
      const { peer } = await one.tunnel(`127.0.0.1:${server.port}`);
      const origin = await server.next();
      const [reader, writer] = side === "client" ? [peer, origin] : [origin, peer];
      reader.finish();
      await writer.untilEnd();
      reader.pause();
      const total = 24 * 1024 * 1024;
      const [sent, got] = [new Bun.CryptoHasher("sha256"), new Bun.CryptoHasher("sha256")];
      for (const piece of makeKeystream(total)) {
        sent.update(piece);
        writer.write(piece);
      }
      writer.finish();
      let received = 0;
      reader.consume = (chunk) => {
        received += chunk.length;
        got.update(chunk);
        // A little at a time, so that the writer is done long before the reader.
        reader.pause();
        setTimeout(() => reader.resume(), 1);
      };
      reader.resume();
      await writer.until(({ closed }) => closed, "the end of the writer");
      for (let moves = 0; reader.end === "open"; moves += 1) {
        const [from, to] = moves % 2 === 0 ? [one, two] : [two, one];
        await moveConnections(from.gate, to.gate, 1, 5);
        await Bun.sleep(1);
      }
      expect([reader.end, received]).toEqual(["fin", total]);
      expect(got.digest("hex")).toBe(sent.digest("hex"));
      const line = await waitFor(() => [...one.lines, ...two.lines].at(0), "the line");
      expect(line).toMatchObject({ end: "closed", [side === "client" ? "bytes_down" : "bytes_up"]: total });
    },
    300_000,
  );

  test("ends as it would have when a side was reset on the way", async () => {
    using server = listenRaw();
    await using one = openGate({});
    await using two = openGate({});
    for (const side of ["client", "target"] as const) {
      const { peer } = await one.tunnel(`127.0.0.1:${server.port}`);
      const origin = await server.next();
      const [movable] = (await takeConnections(one.gate, 1)) as [Movable];
      const [dead, other] = side === "client" ? [peer, origin] : [origin, peer];
      dead.write("the last words");
      dead.reset();
      // The reset is there before the tunnel.
      await Bun.sleep(10);
      expect(two.gate.receive(movable)).toBe(true);
      await other.untilEnd();
      expect(other.end).toBe("reset");
      await waitFor(() => two.lines.at(-1)?.["end"] === `${side}_reset`, "the line");
    }
    expect(two.gate.admission.connections).toBe(0);
  });

  test("is ended by its id, and by its idle time, of which it has spent a part before", async () => {
    using echo = listenEcho();
    const target = `127.0.0.1:${echo.port}`;
    await using one = openGate({ timeouts: { idle: "600ms" } });
    await using two = openGate({ timeouts: { idle: "600ms" } });
    const killed = await one.tunnel(target);
    const idle = await one.tunnel(target);
    const first = await takeConnections(one.gate, 2);
    await Bun.sleep(100);
    for (const movable of first) expect(two.gate.receive(movable)).toBe(true);
    const second = await takeConnections(two.gate, 2);
    for (const [index, movable] of second.entries())
      expect(readActiveAt(movable)).toBeCloseTo(readActiveAt(first[index] as Movable), 0);
    for (const movable of second) expect(two.gate.receive(movable)).toBe(true);
    const [flow] = two.gate.live.list(performance.now(), {});
    expect(one.gate.live.kill({ id: flow?.id ?? "" })).toBe(0);
    expect(two.gate.live.kill({ id: flow?.id ?? "" })).toBe(1);
    await Promise.all([killed.peer.untilEnd(), idle.peer.untilEnd()]);
    await waitFor(() => two.lines.length === 2, "the lines");
    expect(two.lines.map((line) => line["end"]).toSorted()).toEqual(["idle_timeout", "killed"]);
    expect(two.lines.find((line) => line["end"] === "killed")?.["id"]).toBe(flow?.id);
  });

  test("keeps what its first bytes have shown, and is looked into where its client begins to speak", async () => {
    using echo = listenEcho();
    const target = `127.0.0.1:${echo.port}`;
    await using one = openGate({});
    await using two = openGate({});
    const [early, late] = [await one.tunnel(target), await one.tunnel(target)];
    const hello = buildRecords(22, buildMessage(1, buildClientHello({ extensions: [serverName("inside.test")] })));
    early.peer.write(hello);
    await early.peer.untilReceived(hello.length);
    const listed = one.gate.live.list(performance.now());
    expect(listed.map(({ tls }) => tls?.sni)).toEqual(["inside.test", undefined]);
    expect(await moveConnections(one.gate, two.gate, 2)).toBe(2);
    late.peer.write("SSH-2.0-test\r\n");
    await late.peer.untilText("SSH-2.0");
    const moved = two.gate.live.list(performance.now());
    expect(moved[0]?.tls).toEqual(listed[0]?.tls);
    expect(moved.map(({ inside }) => inside)).toEqual(["tls", "ssh"]);
  });

  test("takes slots although none is free, and keeps the address that a PROXY header named", async () => {
    using echo = listenEcho();
    await using one = openGate({ listen: [{ host: "127.0.0.1", port: 0, proxyProtocol: ["127.0.0.1"] }], open: true });
    await using two = openGate({
      limits: { connections: 1, perClient: { connections: 1 }, perTarget: { connections: 1 } },
    });
    const countTarget = () => two.gate.requestLimits.targetCounts.count(`127.0.0.1:${echo.port}`);
    for (const address of ["192.0.2.1", "192.0.2.1"]) {
      const peer = await one.connect();
      peer.write(
        `PROXY TCP4 ${address} 127.0.0.1 5555 80\r\nCONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: x\r\n\r\n`,
      );
      await peer.untilText("200");
    }
    expect(await moveConnections(one.gate, two.gate, 2)).toBe(2);
    expect(two.gate.live.list(0).map(({ client }) => client)).toEqual(["192.0.2.1:5555", "192.0.2.1:5555"]);
    expect((await two.tunnel(`127.0.0.1:${echo.port}`)).status).toBe("429");
    expect(countTarget()).toBe(2);
    two.gate.live.kill({});
    await waitFor(() => two.gate.live.size === 0, "the end");
    expect(countTarget()).toBe(0);
    expect((await two.tunnel(`127.0.0.1:${echo.port}`)).status).toBe("200");
  });

  test("is judged by the rules of where it came to, when what they deny is to end", async () => {
    using echo = listenEcho();
    await using one = openGate({});
    await using two = openGate({ rules: [], default: "deny" });
    const { peer } = await one.tunnel(`127.0.0.1:${echo.port}`);
    await moveConnections(one.gate, two.gate, 1);
    expect(await two.gate.endDenied()).toBe(1);
    await peer.untilEnd();
    await waitFor(() => two.lines[0]?.["end"] === "denied", "the line");
  });

  test("ends a capture with a note, and can be captured where it goes on", async () => {
    using echo = listenEcho();
    await using one = openGate({});
    await using two = openGate({});
    const { peer } = await one.tunnel(`127.0.0.1:${echo.port}`);
    const start = ({ gate }: TestGate): Capture =>
      gate.captures.start({ filter: {}, legs: "client", snapLength: 0 }, (visit) => gate.live.visit(visit)) as Capture;
    const [first, second] = [start(one), start(two)];
    peer.write("before");
    await peer.untilText("before");
    expect(await moveConnections(one.gate, two.gate, 1)).toBe(1);
    peer.write(", after");
    await peer.untilText("before, after");
    const [before, after] = [await readAll(first), await readAll(second)];
    expect([
      before.includes("before"),
      before.includes("goes on in another process"),
      before.includes("after"),
    ]).toEqual([true, true, false]);
    expect([
      after.includes("6 bytes had passed"),
      after.includes("12 bytes had passed"),
      after.includes(", after"),
    ]).toEqual([false, true, true]);
  });
});

/** Ends a capture, and gives its file as text. */
async function readAll(capture: Capture): Promise<string> {
  capture.stop();
  let text = "";
  for (let part = await capture.next(); part !== undefined; part = await capture.next())
    text += Buffer.from(part).toString("latin1");
  return text;
}
