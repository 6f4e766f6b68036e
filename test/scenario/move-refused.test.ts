import { describe, expect, test } from "bun:test";
import type { Movable } from "../../src/gate/movable.ts";
import type { JsonValue } from "../../src/protocol/handover/json-value.ts";
import { takeConnections } from "../support/move-connections.ts";
import { openGate } from "../support/open-gate.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";

describe("what cannot be received", () => {
  test("is refused, and stays as it was", async () => {
    using echo = listenEcho();
    const reactor = requireReactor();
    await using one = openGate({}, { reactor });
    await using two = openGate({}, { reactor });
    await using other = openGate({}, { sockets: "runtime" });
    const { peer } = await one.tunnel(`127.0.0.1:${echo.port}`);
    const [movable] = (await takeConnections(one.gate, 1)) as [Movable];
    const state = movable.state as Record<string, JsonValue>;
    const { descriptors } = movable;
    const [first = -1] = descriptors;
    const wrong: Movable[] = [
      { state: null, descriptors },
      { state: [], descriptors },
      { state: {}, descriptors },
      { state: { ...state, kind: "quic" }, descriptors },
      { state: { ...state, version: 2 }, descriptors },
      { state: { ...state, version: "1" }, descriptors },
      ...Object.keys(state)
        .filter((name) => typeof state[name] !== "boolean")
        .map((name) => ({ state: { ...state, [name]: [true] }, descriptors })),
      { state: { ...state, id: null }, descriptors },
      { state: { ...state, client: "10.0.0.256" }, descriptors },
      { state: { ...state, clientPort: 65_536 }, descriptors },
      { state: { ...state, bytesUp: -1 }, descriptors },
      { state: { ...state, bytesUp: 0.5 }, descriptors },
      { state: { ...state, restUp: "no base64!" }, descriptors },
      { state: { ...state, target: "no port" }, descriptors },
      { state: { ...state, protocol: "gopher" }, descriptors },
      { state: { ...state, inside: { protocol: "gopher" } }, descriptors },
      { state: { ...state, stageMs: { dial: "long" } }, descriptors },
      { state: { ...state, finishedUp: 1 }, descriptors },
      { state, descriptors: [] },
      { state, descriptors: [first] },
      { state, descriptors: [...descriptors, first] },
      { state: { ...state, kind: "client" }, descriptors },
    ];
    for (const each of wrong) expect([each.state, two.gate.receive(each)]).toEqual([each.state, false]);
    // Sockets of the runtime take nothing over.
    expect(other.gate.receive(movable)).toBe(false);
    expect([two.gate.live.size, two.gate.admission.connections, two.gate.metrics.connectionsOpen]).toEqual([0, 0, 0]);
    expect(two.gate.receive({ ...movable, state: { ...state, unknown: 1 } })).toBe(true);
    peer.write("still here");
    await peer.untilText("still here");
  });
});
