import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import type { Movable } from "../../src/gate/movable.ts";
import { moveConnections, readActiveAt, takeConnections } from "../support/move-connections.ts";
import { openGate as open, type TestGate } from "../support/open-gate.ts";
import { basic, waitFor } from "../support/proxy.ts";
import { requireReactor } from "../support/require-reactor.ts";

function openGate(config: Parameters<typeof open>[0] = {}): TestGate {
  return open(config, { reactor: requireReactor() });
}

const counts = ({ gate }: TestGate) => [
  gate.admission.connections,
  gate.metrics.connectionsOpen,
  gate.forwarding.waiting.size,
];

describe("a client between two requests", () => {
  test("moves to another gate, which serves its next requests", async () => {
    using origin = serveHttp((request) => ok(`answer to ${request.head.split(" ", 2)[1]}`));
    const config = { users: [{ name: "ann", password: "one" }], limits: { perUser: { connections: 1 } } };
    await using one = openGate(config);
    await using two = openGate(config);
    const peer = await one.connect();
    const credentials = Object.entries(basic("ann", "one")).map(([name, value]) => `${name}: ${value}\r\n`);
    const get = async (path: string): Promise<string> => {
      peer.write(ask("GET", `http://127.0.0.1:${origin.port}${path}`, credentials.join("")));
      return (await takeResponse(peer)).body;
    };
    expect([await get("/a"), await get("/b")]).toEqual(["answer to /a", "answer to /b"]);
    await waitFor(() => one.gate.forwarding.waiting.size === 1, "the client to wait");
    expect(await moveConnections(one.gate, two.gate, 1)).toBe(1);
    await waitFor(() => one.gate.admission.connections === 0, "the slots");
    expect([counts(one), counts(two)]).toEqual([
      [0, 0, 0],
      [1, 1, 1],
    ]);
    // Its user holds the only slot there now.
    const refused = await two.tunnel(`127.0.0.1:${origin.port}`, basic("ann", "one"));
    expect(refused.status).toBe("429");
    refused.peer.reset();
    expect([await get("/c"), await get("/d")]).toEqual(["answer to /c", "answer to /d"]);
    await waitFor(() => two.lines.length === 3, "the lines");
    expect(one.lines).toHaveLength(2);
    expect(two.lines.at(-1)).toMatchObject({ user: "ann", listener: one.lines[0]?.["listener"] });
    peer.finish();
    await peer.untilEnd();
    await waitFor(() => two.gate.metrics.connectionsOpen === 0, "the end");
    expect([counts(one), counts(two)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect([...two.gate.metrics.finished.values()].reduce((sum, { http }) => sum + http, 0)).toBe(2);
  });

  test("moves as soon as its request is over, also from a gate that drains", async () => {
    using origin = serveHttp((request) => (request.head.includes("/slow") ? undefined : ok("fast")));
    await using one = openGate();
    await using two = openGate();
    const peer = await one.connect();
    peer.write(ask("GET", `http://127.0.0.1:${origin.port}/slow`));
    await waitFor(() => origin.heads.length === 1, "the request");
    const [server] = origin.server.accepted;
    // The head of the response tells the client that it is kept, and the body is still to come.
    server?.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    await peer.untilText("\r\n\r\n");
    const moving = moveConnections(one.gate, two.gate, 1);
    one.gate.beginDrain();
    server?.write("slow");
    expect(await moving).toBe(1);
    await peer.untilText("slow");
    peer.take();
    peer.write(ask("GET", `http://127.0.0.1:${origin.port}/fast`));
    expect((await takeResponse(peer)).body).toBe("fast");
    await waitFor(() => one.lines.length === 1 && two.lines.length === 1, "a line of each");
  });

  test("goes on here when nobody takes it after all", async () => {
    using origin = serveHttp(() => ok("answer"));
    await using one = openGate();
    const peer = await one.connect();
    peer.write(ask("GET", `http://127.0.0.1:${origin.port}/`));
    await takeResponse(peer);
    await waitFor(() => one.gate.forwarding.waiting.size === 1, "the client to wait");
    const released = one.gate.release()[Symbol.asyncIterator]();
    expect(one.gate.forwarding.waiting.size).toBe(0);
    const first = released.next();
    await released.return?.();
    const given = await first;
    if (given.done !== true) expect(one.gate.receive(given.value)).toBe(true);
    // The same for one that is never asked for anything.
    await one.gate.release()[Symbol.asyncIterator]().return?.();
    peer.write(ask("GET", `http://127.0.0.1:${origin.port}/`));
    expect((await takeResponse(peer)).body).toBe("answer");
    expect(counts(one)).toEqual([1, 1, 1]);
  });

  test("has been idle in both gates when its time is over", async () => {
    using origin = serveHttp(() => ok("answer"));
    const config = { forward: { clientIdle: "500ms" } };
    await using one = openGate(config);
    await using two = openGate(config);
    const peer = await one.connect();
    peer.write(ask("GET", `http://127.0.0.1:${origin.port}/`));
    await takeResponse(peer);
    const [first] = (await takeConnections(one.gate, 1)) as [Movable];
    await Bun.sleep(100);
    expect(two.gate.receive(first)).toBe(true);
    const [second] = (await takeConnections(two.gate, 1)) as [Movable];
    expect(readActiveAt(second)).toBeCloseTo(readActiveAt(first), 0);
    expect(two.gate.receive(second)).toBe(true);
    await peer.untilEnd();
    expect(peer.end).toBe("fin");
    expect(counts(two)).toEqual([0, 0, 0]);
  });

  test("stays while its request is under way, and is let go by the caller who wants no more", async () => {
    using origin = serveHttp(() => undefined);
    await using one = openGate();
    const peer = await one.connect();
    peer.write(ask("GET", `http://127.0.0.1:${origin.port}/`));
    await waitFor(() => origin.heads.length === 1, "the request");
    expect(await takeConnections(one.gate, 1, 100)).toEqual([]);
    origin.server.accepted[0]?.write(ok("late"));
    expect((await takeResponse(peer)).body).toBe("late");
  });
});
