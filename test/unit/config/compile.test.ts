import { describe, expect, test } from "bun:test";

import { AddressSet } from "../../../src/address/address-set.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { makeIp } from "../../support/make-policy.ts";

describe("compileConfig()", () => {
  test("warns of a filter of traces that nobody writes", () => {
    const warn = (log: object) => compileForTest({ log }).warnings.map(formatProblem);
    const filter = { user: "ann", clients: ["10.0.0.0/8"] };
    expect(warn({ debug: filter })).toEqual([
      'log.debug: It says whose requests are traced, but "log.level" is "info": none are. Set the level to "debug", or start with --verbose.',
    ]);
    expect(warn({ debug: { user: "ann" }, level: "warn" })).toHaveLength(1);
    expect([...warn({ debug: filter, level: "debug" }), ...warn({ debug: {} }), ...warn({})]).toEqual([]);
  });

  test("compiles the defaults: loopback, direct, nobody asked, no sidecar", () => {
    const compiled = compileForTest({});
    expect(compiled.listeners).toEqual([
      {
        host: "127.0.0.1",
        port: 8080,
        protocols: new Set(["http", "socks5", "socks4"] as const),
        proxyFrom: new AddressSet([]),
      },
    ]);
    expect(compiled.splice).toEqual({ mode: "auto", afterBytes: 131_072 });
    expect(compiled.lameDuckMs).toBe(0);
    expect(compiled.drainMs).toBe(10_000);
    expect(compiled.sidecar).toBeUndefined();
    expect(compiled.usersFile).toBeUndefined();
    const { authenticator, policy, timeouts, limits, forward, ...runtime } = compiled.runtime;
    expect(authenticator.required).toBe(false);
    expect(policy).toMatchObject({ rules: [], fallback: { kind: "allow", via: [] } });
    expect(timeouts).toEqual({
      handshakeMs: 10_000,
      connectMs: 10_000,
      responseMs: 60_000,
      idleMs: 600_000,
      hookMs: 5000,
      askMs: 60_000,
    });
    expect(forward).toEqual({
      via: expect.stringMatching(/^penstock-[0-9a-f]{10}$/),
      forwardedFor: "off",
      httpsOverPlain: false,
      clientIdleMs: 60_000,
      originIdleMs: 15_000,
      idleOrigins: 512,
      idlePerOrigin: 64,
    });
    expect(limits).toEqual({
      inAll: { connections: 10_000, rate: undefined, bandwidth: undefined },
      perUser: { connections: 0, rate: undefined, bandwidth: undefined, quota: undefined },
      users: new Map(),
      hasRequestLimits: false,
      hasQuotas: false,
      perClient: { connections: 0, rate: undefined, bandwidth: undefined },
      perTarget: { connections: 0, rate: undefined },
      onQuota: "finish",
      clientPrefix: { v4: 32, v6: 64 },
      head: { maxBytes: 32_768, maxFields: 100 },
    });
    expect(runtime).toEqual({
      upstreams: new Map(),
      inspect: { tls: true, ja3: false },
      agent: "penstock",
      established: Buffer.from("HTTP/1.1 200 Connection Established\r\nProxy-Agent: penstock\r\n\r\n"),
    });
  });

  test("takes what the limits of a user leave undefined from those of every user", () => {
    const perUser = { connections: 3, rate: "5/h", bandwidth: "1MB/s", bytes: { day: "1GB" }, burst: "2s" };
    const own = { connections: undefined, rate: undefined, bandwidth: undefined, bytes: undefined, burst: undefined };
    const users = [
      { name: "ci", password: "secret-of-ci", limits: own },
      { name: "free", password: "secret-of-free", limits: { ...own, bytes: {} } },
    ];
    const { limits } = compileForTest({ users, limits: { perUser }, state: { folder: "/var/lib/penstock" } }).runtime;
    expect(limits.users.get("ci")).toEqual(limits.perUser);
    expect(limits.users.get("free")).toEqual({ ...limits.perUser, quota: undefined });
  });

  test("writes access lines as text on a terminal and as JSON elsewhere, unless told", () => {
    expect(compileForTest({}, { terminal: true }).log.access).toBe("text");
    expect(compileForTest({}, { terminal: false }).log.access).toBe("json");
    expect(compileForTest({ log: { access: "off" } }, { terminal: true }).log.access).toBe("off");
  });

  test("reads listeners, limits, timeouts and client ranges", () => {
    const compiled = compileForTest({
      listen: ["[::1]:0", "9000", { port: 1 }],
      clients: ["192.0.2.0/24"],
      limits: {
        connections: 7,
        perUser: { connections: 2 },
        perClient: { connections: 3, prefix: { v6: 56 } },
        headBytes: "4KB",
      },
      timeouts: { handshake: "1s", connect: "2s", idle: "0", lameDuck: "5s", drain: "0", hook: "30ms" },
    });
    const spoken = { protocols: new Set(["http", "socks5", "socks4"] as const), proxyFrom: new AddressSet([]) };
    expect(compiled.listeners).toEqual([
      { host: "::1", port: 0, ...spoken },
      { host: "127.0.0.1", port: 9000, ...spoken },
      { host: "127.0.0.1", port: 1, ...spoken },
    ]);
    expect(compiled.lameDuckMs).toBe(5000);
    expect(compiled.drainMs).toBe(0);
    expect(compiled.runtime.timeouts).toEqual({
      handshakeMs: 1000,
      connectMs: 2000,
      responseMs: 60_000,
      idleMs: 0,
      hookMs: 30,
      askMs: 60_000,
    });
    expect(compiled.runtime.limits).toMatchObject({
      inAll: { connections: 7 },
      perUser: { connections: 2 },
      perClient: { connections: 3 },
      clientPrefix: { v4: 32, v6: 56 },
      head: { maxBytes: 4000, maxFields: 100 },
    });
    expect(compiled.runtime.clients?.has(makeIp("192.0.2.9"))).toBe(true);
    expect(compiled.runtime.clients?.has(makeIp("192.0.3.9"))).toBe(false);
  });

  test("places the sidecar on loopback, or on a socket beside the file", () => {
    expect(compileForTest({ sidecar: { port: 9080 } }).sidecar).toEqual({
      at: { kind: "tcp", host: "127.0.0.1", port: 9080 },
      tokens: [],
      allowedHosts: [],
    });
    const named = compileForTest({ sidecar: { port: 9080, allowedHosts: ["penstock.example"] } });
    expect(named.sidecar?.allowedHosts).toEqual(["penstock.example"]);
    const variables = { TOKEN: "t" };
    const { sidecar } = compileForTest({ sidecar: { unix: "run/p.sock", token: { env: "TOKEN" } } }, { variables });
    expect(sidecar?.at).toEqual({ kind: "unix", path: "/etc/penstock/run/p.sock" });
    expect(sidecar?.tokens[0]?.token.reveal()).toBe("t");
  });
});
