import { describe, expect, test } from "bun:test";
import { AddressSet } from "../../src/address/address-set.ts";
import { serveConnection } from "../../src/proxy/connection.ts";
import { Forwarding } from "../../src/proxy/exchange/forwarding.ts";
import { Admission } from "../../src/proxy/limit/admission.ts";
import { OwnAddresses } from "../../src/proxy/accept/own-addresses.ts";
import { AccessLog } from "../../src/proxy/record/access-log.ts";
import { Captures } from "../../src/proxy/record/captures.ts";
import { LiveTable } from "../../src/proxy/record/live-table.ts";
import { Metrics } from "../../src/proxy/record/metrics.ts";
import { createRecorder } from "../../src/proxy/record/recorder.ts";
import { RuntimeHolder } from "../../src/proxy/runtime.ts";
import { Lingering } from "../../src/proxy/read/lingering.ts";
import type { Services } from "../../src/proxy/services.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { makeIp } from "../support/make-policy.ts";
import { MemoryConn } from "../support/memory-conn.ts";
import { plentyOfDescriptors } from "../support/plenty-of-descriptors.ts";
import { ClientProfiles } from "../../src/protocol/tls/read/client-profiles.ts";
import { Upstreams } from "../../src/proxy/upstream/upstreams.ts";

const from = makeIp("127.0.0.1");

/** A proxy without sockets, one client of it, and the mistakes that it reports. */
function openStand(change: (services: Services) => Partial<Services>) {
  const { runtime } = compileForTest({ listen: ["127.0.0.1:0"], rules: [{ to: ["127.0.0.0/8"], allowPrivate: true }] });
  const bugs: unknown[] = [];
  const metrics = new Metrics();
  const reportBug = (error: unknown): void => void bugs.push(error);
  const accessLog = new AccessLog({ format: "json", sink: () => {} });
  const target = new MemoryConn();
  const admission = new Admission(plentyOfDescriptors);
  const services: Services = {
    runtime: new RuntimeHolder(runtime),
    admission,
    lingering: new Lingering(admission, plentyOfDescriptors),
    clientProfiles: new ClientProfiles(),
    recorder: createRecorder({ accessLog, metrics, live: new LiveTable(), reportBug }),
    resolver: createFakeResolver({}),
    tunnel: () => {
      throw new Error("No tunnel is to be opened");
    },
    listen: () => ({ ok: false, code: "EPERM" }),
    connect: (_, done) => {
      queueMicrotask(() => done({ ok: true, conn: target }));
      return { cancel: () => {} };
    },
    upstreams: new Upstreams(),
    forwarding: new Forwarding(),
    captures: new Captures({ application: "test" }),
    own: new OwnAddresses(),
    reportBug,
    reportHook: () => {},
    draining: false,
  };
  Object.assign(services, change(services));
  const client = new MemoryConn();
  const doorway = {
    name: "listener",
    protocols: new Set(["http"] as const),
    proxyFrom: new AddressSet([]),
    tls: undefined,
  };
  const served = serveConnection(client, from, doorway, services);
  return { services, metrics, bugs, client, target, served };
}

const connect = "CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n";
const mistake = new Error("a mistake");
const fail = (): never => {
  throw mistake;
};

describe("a mistake of the proxy ends one connection, is reported, and gives back its places", () => {
  test("when a dial makes it", async () => {
    const { services, metrics, bugs, client, served } = openStand(() => ({ connect: fail }));
    client.say(connect);
    await served;
    // Its slot is its own until it is gone.
    client.finish();
    expect(client.text).toStartWith("HTTP/1.1 500 ");
    expect(bugs).toEqual([mistake]);
    expect([services.admission.connections, metrics.connectionsOpen]).toEqual([0, 0]);
  });

  test("when the tunnel cannot be opened after the client was told that it stands", async () => {
    const { services, metrics, bugs, client, target, served } = openStand(() => ({ tunnel: fail }));
    client.say(connect);
    await served;
    expect(client.text.match(/^HTTP\/1\.1 \d+/gm)).toEqual(["HTTP/1.1 200"]);
    expect([client.state, target.state]).toEqual(["reset", "reset"]);
    expect(bugs).toEqual([mistake]);
    expect([services.admission.connections, metrics.connectionsOpen, metrics.failures.internal_error]).toEqual([
      0, 0, 1,
    ]);
  });

  test("when what is written down about it makes it", async () => {
    const { services, metrics, bugs, client, served } = openStand(() => {
      const accessLog = new AccessLog({ format: "json", sink: () => {} });
      accessLog.write = fail;
      const recorder = createRecorder({
        accessLog,
        metrics: new Metrics(),
        live: new LiveTable(),
        reportBug: (error) => void bugs.push(error),
      });
      return { recorder };
    });
    client.say("nonsense\r\n\r\n");
    await served;
    // Its slot is its own until it is gone.
    client.finish();
    expect(client.text).toStartWith("HTTP/1.1 400 ");
    expect(bugs).toEqual([mistake]);
    expect([services.admission.connections, metrics.connectionsOpen]).toEqual([0, 0]);
  });

  test("when it is made between two requests", async () => {
    const { services, metrics, bugs, client, served } = openStand(({ runtime }) => ({
      // Asked once for each request of a connection that is kept, and by nobody else in between.
      forwarding: Object.defineProperty<Forwarding>(new Forwarding(), "waiting", { get: fail }),
      runtime,
    }));
    client.say("GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
    await served;
    expect(client.text).toStartWith("HTTP/1.1 403 ");
    expect(client.state).toBe("reset");
    expect(bugs).toEqual([mistake]);
    expect([services.admission.connections, metrics.connectionsOpen]).toEqual([0, 0]);
  });
});
