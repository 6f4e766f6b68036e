import { describe, expect, test } from "bun:test";
import { relay } from "../../../../src/proxy/flow/relay.ts";
import type { Tunnel, TunnelResult } from "../../../../src/proxy/tunnel/tunnel.ts";
import { FakeConn } from "../../../support/fake-conn.ts";

/** A relay between two fakes, and what its owner was told, in order. */
function makeStand(prepare: (client: FakeConn, target: FakeConn) => void = () => undefined) {
  const [client, target] = [new FakeConn(), new FakeConn()];
  prepare(client, target);
  const told: (TunnelResult | "opened")[] = [];
  const tunnel: Tunnel = relay(client, target, { idleMs: 0, owner: { tunnelOver: (result) => told.push(result) } });
  told.push("opened");
  return { client, target, told, tunnel };
}

describe("relay()", () => {
  test("tells its owner of the end, once", () => {
    const { client, target, told } = makeStand();
    client.receive("question");
    target.receive("answer");
    client.receiveEnd();
    expect(told).toEqual(["opened"]);
    target.receiveEnd();
    client.break();
    expect(told).toEqual(["opened", { end: "closed", bytesUp: 8, bytesDown: 6 }]);
  });

  test("tells of an end at the very beginning only after it was opened", async () => {
    const { told } = makeStand((client) => {
      client.receive("question");
      client.break();
    });
    expect(told).toEqual(["opened"]);
    await Promise.resolve();
    expect(told).toEqual(["opened", { end: "client_reset", bytesUp: 8, bytesDown: 0 }]);
  });

  test("has a promise for whoever asks, before the end or after it", async () => {
    const { target, tunnel } = makeStand();
    const before = tunnel.done;
    target.break();
    expect((await before).end).toBe("target_reset");
    expect((await tunnel.done).end).toBe("target_reset");
  });
});
