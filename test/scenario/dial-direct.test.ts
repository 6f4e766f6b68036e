import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import type { Conn } from "../../src/net/conn/conn.ts";
import { LoopTimers } from "../../src/net/conn/loop-timers.ts";
import { connectTcp } from "../../src/net/runtime/connect.ts";
import type { Resolver } from "../../src/net/dns/resolver.ts";
import { createSystemResolver } from "../../src/net/dns/system-resolver.ts";
import { allowInside, allowOutside, dialInVain, dialTarget, dialWell } from "../support/dial-stand.ts";
import { unaskedResolver } from "../support/fake-resolver.ts";
import { makeIp } from "../support/make-policy.ts";
import { startProxy, waitFor } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";
import { listenBlackhole, reserveClosedPort } from "../support/unreachable.ts";
import type { AllowDecision } from "../../src/proxy/policy/decision.ts";

/** Two public addresses of a test's own internet, which is on loopback; every other address is what it is. */
const internet: Readonly<Record<string, string>> = { "1.0.0.1": "127.0.0.2", "2606:4700::1": "::1" };

function makeInternet() {
  const dialled: string[] = [];
  return {
    dialled,
    connect: ((target, done) => {
      dialled.push(target.ip.text);
      return connectTcp({ ...target, ip: makeIp(internet[target.ip.text] ?? target.ip.text) }, done);
    }) satisfies typeof connectTcp,
  };
}

describe("a direct dial", () => {
  test("reaches an address and says which", async () => {
    using echo = listenEcho();
    const outcome = await dialTarget(`127.0.0.1:${echo.port}`);
    expect(outcome).toMatchObject({ ok: true, value: { address: { ip: { text: "127.0.0.1" }, port: echo.port } } });
    if (outcome.ok) outcome.value.conn.reset();
  });

  test("reaches a name over IPv6, and over IPv4 when nobody listens there", async () => {
    const names = { "both.test": ["::1", "127.0.0.1"] };
    using six = listenEcho("::1");
    using peer = await dialWell(`both.test:${six.port}`, { names });
    expect(peer.conn.remoteAddress).toBe("::1");
    using four = listenEcho("127.0.0.1");
    using other = await dialWell(`both.test:${four.port}`, { names });
    expect(other.conn.remoteAddress).toBe("127.0.0.1");
  });

  test("never reaches the private address of a mixed answer, not even when the public one refuses", async () => {
    const { connect, dialled } = makeInternet();
    using inside = listenRaw();
    const names = { "mixed.test": ["127.0.0.1", "1.0.0.1", "10.0.0.1", "2606:4700::1", "fd00::1"] };
    const failure = await dialInVain(`mixed.test:${inside.port}`, {
      names,
      services: { connect },
      grant: { decision: allowOutside },
    });
    expect(failure.detail).toBe("connection_refused");
    expect(dialled).toEqual(["2606:4700::1", "1.0.0.1"]);
    expect(inside.accepted).toHaveLength(0);
  });

  test("reaches the public address of a mixed answer", async () => {
    const { connect, dialled } = makeInternet();
    using outside = listenEcho("127.0.0.2");
    using peer = await dialWell(`mixed.test:${outside.port}`, {
      names: { "mixed.test": ["127.0.0.1", "1.0.0.1"] },
      services: { connect },
      grant: { decision: allowOutside },
    });
    expect(peer.conn.remoteAddress).toBe("127.0.0.2");
    expect(dialled).toEqual(["1.0.0.1"]);
  });

  test("says which address is of which class when none may be dialled", async () => {
    const grant = { decision: allowOutside };
    expect(await dialInVain("127.0.0.1:9", { grant })).toEqual({
      detail: "address_prohibited",
      note: "127.0.0.1 is loopback",
    });
    expect(await dialInVain("in.test:9", { grant, names: { "in.test": ["10.0.0.1"] } })).toEqual({
      detail: "address_prohibited",
      note: "10.0.0.1 is private",
    });
  });

  test("takes localhost for loopback, without asking DNS", async () => {
    const resolver = unaskedResolver;
    const failure = await dialInVain("a.localhost:9", {
      grant: { decision: allowOutside },
      services: { resolver },
    });
    expect(failure.detail).toBe("address_prohibited");
    using echo = listenEcho();
    using peer = await dialWell(`localhost:${echo.port}`, { services: { resolver } });
    expect(peer.conn.remoteAddress).toBe("127.0.0.1");
  });

  test("never dials our own listeners, even where a rule opens the inside", async () => {
    using self = listenRaw();
    const own = { has: (ip: { text: string }, port: number) => ip.text === "127.0.0.1" && port === self.port };
    const names = { "me.test": ["127.0.0.1"] };
    for (const host of ["127.0.0.1", "me.test", "localhost"]) {
      const failure = await dialInVain(`${host}:${self.port}`, { names, services: { own } });
      expect(["proxy_loop", "connection_refused"]).toContain(failure.detail);
    }
    expect(self.accepted).toHaveLength(0);
  });

  test("dials only the addresses that the rules have kept", async () => {
    const { connect, dialled } = makeInternet();
    using echo = listenEcho("127.0.0.2");
    using peer = await dialWell(`two.test:${echo.port}`, {
      names: { "two.test": ["2606:4700::1", "1.0.0.1"] },
      services: { connect },
      grant: { decision: allowOutside, addresses: [makeIp("1.0.0.1")], narrowed: true },
    });
    expect(peer.conn.remoteAddress).toBe("127.0.0.2");
    expect(dialled).toEqual(["1.0.0.1"]);
  });

  test("dials an address that comes late, and gives the decision that is about it", async () => {
    using echo = listenEcho("127.0.0.2");
    const late: AllowDecision = { ...allowInside, rule: "late" };
    const outcome = await dialTarget(`two.test:${echo.port}`, {
      grant: {
        decision: allowInside,
        addresses: [makeIp("127.0.0.3")],
        decisions: new Map([["127.0.0.2", late]]),
        late: { family: 4, answer: Promise.resolve({ ok: true, name: "two.test", addresses: [makeIp("127.0.0.2")] }) },
      },
    });
    if (outcome.ok) outcome.value.conn.reset();
    expect(outcome).toMatchObject({ value: { address: { ip: { text: "127.0.0.2" } }, decision: { rule: "late" } } });
  });

  test("dials the answer that was judged, which others may need, too", async () => {
    using echo = listenEcho("127.0.0.2");
    let released = 0;
    const own = { ok: true, name: "intra.corp.test", addresses: [makeIp("127.0.0.2")] } as const;
    const none = { ok: false, detail: "dns_error", note: "ENOTFOUND" } as const;
    using peer = await dialWell(`intra:${echo.port}`, {
      services: { resolver: unaskedResolver },
      grant: { decision: allowInside, lookups: { 4: own, 6: none, release: () => (released += 1) } },
    });
    expect(peer.conn.remoteAddress).toBe("127.0.0.2");
    expect(released).toBe(0);
  });

  test("gives the answers back that it asked for itself", async () => {
    using echo = listenEcho("127.0.0.2");
    let released = 0;
    const own = { ok: true, name: "own.test", addresses: [makeIp("127.0.0.2")] } as const;
    const silent = new Promise<never>(() => {});
    const resolver: Resolver = {
      find: () => ({ 4: own, 6: silent, release: () => (released += 1) }),
      mayComplete: () => false,
    };
    using peer = await dialWell(`own.test:${echo.port}`, { services: { resolver } });
    expect(peer.conn.remoteAddress).toBe("127.0.0.2");
    expect(released).toBe(1);
  });

  test("has less time for connecting when some was spent on resolving", async () => {
    await using hole = await listenBlackhole();
    for (const target of [`127.0.0.1:${hole.port}`, `hole.test:${hole.port}`]) {
      const failure = await dialInVain(target, {
        names: { "hole.test": ["127.0.0.1"] },
        connectMs: 600_000,
        grant: { decision: allowInside, spentMs: 599_950 },
      });
      expect(failure.detail).toBe("connection_timeout");
    }
  });

  test("gives up on a target that never answers", async () => {
    await using hole = await listenBlackhole();
    const failure = await dialInVain(`127.0.0.1:${hole.port}`, { connectMs: 50 });
    expect(failure.detail).toBe("connection_timeout");
  });

  test("does not wait for a family that never answers when the other one does", async () => {
    await using hole = await listenBlackhole();
    using echo = listenEcho("127.0.0.3");
    const connect: typeof connectTcp = (target, done) =>
      connectTcp(
        target.ip.family === 6 ? { ip: makeIp("127.0.0.1"), port: hole.port } : { ...target, ip: makeIp("127.0.0.3") },
        done,
      );
    using peer = await dialWell(`both.test:${echo.port}`, {
      names: { "both.test": ["2606:4700::1", "1.0.0.1"] },
      services: { connect },
    });
    expect(peer.conn.remoteAddress).toBe("127.0.0.3");
  });

  test("stops when the client goes away", async () => {
    await using hole = await listenBlackhole();
    const client = { closed: false, whenClosed: undefined, timers: new LoopTimers() } as unknown as Conn;
    const dialling = dialInVain(`127.0.0.1:${hole.port}`, { client });
    await waitFor(() => client.whenClosed, "the dial");
    client.whenClosed?.();
    expect((await dialling).detail).toBe("client_gone");
    expect(client.whenClosed).toBeUndefined();
  });

  test("names what went wrong with a name", async () => {
    const names = { "slow.test": "dns_timeout" } as const;
    expect((await dialInVain("nowhere.test:443", { names })).detail).toBe("dns_error");
    expect((await dialInVain("slow.test:443", { names })).detail).toBe("dns_timeout");
    const silent = new Promise<never>(() => {});
    const never: Resolver = { find: () => ({ 4: silent, 6: silent, release() {} }), mayComplete: () => false };
    expect((await dialInVain("never.test:443", { services: { resolver: never }, connectMs: 20 })).detail).toBe(
      "dns_timeout",
    );
  });

  test("connects from the source address of the route", async () => {
    using echo = listenEcho();
    using peer = await dialWell(`127.0.0.1:${echo.port}`, { sourceAddress: "127.0.0.8" });
    expect(peer.conn.localAddress).toBe("127.0.0.8");
  });

  test("falls back to the family of the source address", async () => {
    using echo = listenEcho();
    const names = { "both.test": ["::1", "127.0.0.1"] };
    using peer = await dialWell(`both.test:${echo.port}`, { names, sourceAddress: "127.0.0.8" });
    expect(peer.conn.localAddress).toBe("127.0.0.8");
  });

  test("says that nobody listens", async () => {
    const port = await reserveClosedPort();
    expect(await dialInVain(`127.0.0.1:${port}`, { grant: { decision: allowInside } })).toEqual({
      detail: "connection_refused",
      note: "ECONNREFUSED",
    });
  });
});

test("a client that resets its connection ends the dial that is made for it", async () => {
  await using hole = await listenBlackhole();
  await using proxy = await startProxy();
  const before = countConnecting(hole.port);
  const peer = await proxy.connect();
  peer.write(`CONNECT 127.0.0.1:${hole.port} HTTP/1.1\r\nHost: 127.0.0.1:${hole.port}\r\n\r\n`);
  await waitFor(() => countConnecting(hole.port) > before, "the dial");
  peer.reset();
  expect(await proxy.record()).toMatchObject({ stage: "dial", detail: "client_gone" });
  await waitFor(() => countConnecting(hole.port) === before, "the end of the dial");
});

/** Sockets of this process that are connecting to a port of 127.0.0.1: state SYN_SENT in proc(5)'s net/tcp. */
function countConnecting(port: number): number {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const own = new Set(
    readdirSync("/proc/self/fd").map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return "";
      }
    }),
  );
  const rows = readFileSync("/proc/net/tcp", "latin1").split("\n");
  return rows.filter((row) => {
    const [, , to, state, , , , , , inode] = row.trim().split(/\s+/);
    return to === remote && state === "02" && own.has(`socket:[${inode}]`);
  }).length;
}

describe("the system's resolver", () => {
  test("knows the hosts file", async () => {
    const name = readFileSync("/etc/hosts", "utf8").match(/^127\.0\.0\.1\s+(\S+)/m)?.[1] ?? "";
    const lookups = createSystemResolver().find({ kind: "name", text: name });
    expect(lookups[4]).toMatchObject({ ok: true, addresses: [{ text: "127.0.0.1" }] });
  });
});
