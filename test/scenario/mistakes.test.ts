import { describe, expect, test } from "bun:test";
import type { Gate, GateOptions } from "../../src/gate/gate.ts";
import type { Connect } from "../../src/net/runtime/connect.ts";
import { serveConnection } from "../../src/proxy/connection.ts";
import { Forwarding } from "../../src/proxy/exchange/forwarding.ts";
import { AccessLog } from "../../src/proxy/record/access-log.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { makeIp } from "../support/make-policy.ts";
import { makeGate, plainListener } from "../support/make-gate.ts";
import { MemoryConn } from "../support/memory-conn.ts";

const from = makeIp("127.0.0.1");

/** A proxy without sockets, one client of it, and the mistakes that it reports. */
function openStand(
  options: Partial<GateOptions & { connect: Connect }> = {},
  change: (gate: Gate) => object = () => ({}),
) {
  const { runtime } = compileForTest({ listen: ["127.0.0.1:0"], rules: [{ to: ["127.0.0.0/8"], allowPrivate: true }] });
  const bugs: unknown[] = [];
  const target = new MemoryConn();
  const gate = makeGate(runtime, {
    connect: (_, done) => {
      queueMicrotask(() => done({ ok: true, conn: target }));
      return { cancel: () => {} };
    },
    reportBug: (error) => void bugs.push(error),
    ...options,
  });
  Object.assign(gate, change(gate));
  const client = new MemoryConn();
  const served = serveConnection(client, from, plainListener, gate);
  return { gate, bugs, client, target, served };
}

const connect = "CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n";
const mistake = new Error("a mistake");
const fail = (): never => {
  throw mistake;
};

describe("a mistake of the proxy ends one connection, is reported, and gives back its places", () => {
  test("when a dial makes it", async () => {
    const { gate, bugs, client, served } = openStand({ connect: fail });
    client.say(connect);
    await served;
    // Its slot is its own until it is gone.
    client.finish();
    expect(client.text).toStartWith("HTTP/1.1 500 ");
    expect(bugs).toEqual([mistake]);
    expect([gate.admission.connections, gate.metrics.connectionsOpen]).toEqual([0, 0]);
  });

  test("when the tunnel cannot be opened after the client was told that it stands", async () => {
    const { gate, bugs, client, target, served } = openStand({ tunnel: fail });
    client.say(connect);
    await served;
    expect(client.text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(["HTTP/1.1 200"]);
    expect([client.state, target.state]).toEqual(["reset", "reset"]);
    expect(bugs).toEqual([mistake]);
    expect([gate.admission.connections, gate.metrics.connectionsOpen, gate.metrics.failures.internal_error]).toEqual([
      0, 0, 1,
    ]);
  });

  test("when what is written down about it makes it", async () => {
    const accessLog = new AccessLog({ format: "json", sink: () => {} });
    accessLog.write = fail;
    const { gate, bugs, client, served } = openStand({ accessLog });
    client.say("nonsense\r\n\r\n");
    await served;
    // Its slot is its own until it is gone.
    client.finish();
    expect(client.text).toStartWith("HTTP/1.1 400 ");
    expect(bugs).toEqual([mistake]);
    expect([gate.admission.connections, gate.metrics.connectionsOpen]).toEqual([0, 0]);
  });

  test("when it is made between two requests", async () => {
    const { gate, bugs, client, served } = openStand({}, () => ({
      // Asked once for each request of a connection that is kept, and by nobody else in between.
      forwarding: Object.defineProperty<Forwarding>(new Forwarding(), "waiting", { get: fail }),
    }));
    client.say("GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
    await served;
    expect(client.text).toStartWith("HTTP/1.1 403 ");
    expect(client.state).toBe("reset");
    expect(bugs).toEqual([mistake]);
    expect([gate.admission.connections, gate.metrics.connectionsOpen]).toEqual([0, 0]);
  });
});
