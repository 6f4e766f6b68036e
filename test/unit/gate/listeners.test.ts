import { describe, expect, test } from "bun:test";
import { AddressSet } from "../../../src/address/address-set.ts";
import { formatListener, Listeners, type ListenPlan } from "../../../src/gate/listeners.ts";
import type { Listen } from "../../../src/net/runtime/listen.ts";
import { makeIp } from "../../support/make-policy.ts";
import { MemoryConn } from "../../support/memory-conn.ts";

const plan = (host: string, port: number, protocol: "http" | "socks5" = "http"): ListenPlan => ({
  host,
  port,
  protocols: new Set([protocol] as const),
  proxyFrom: new AddressSet([]),
});

/** Binds every port but 7, and notes what is bound and who accepts there. */
function openStand(plans: readonly ListenPlan[]) {
  const stopped: number[] = [];
  const told: string[] = [];
  const accepts: (() => void)[] = [];
  const from = makeIp("192.0.2.1");
  const listen: Listen = (host, port, accept, turnAway) => {
    if (port === 7) return { ok: false, code: "EACCES" };
    const bound = port === 0 ? 8080 : port;
    accepts.push(() => {
      accept(new MemoryConn(), from);
      if (turnAway !== "never") turnAway?.(from, 9);
    });
    return { ok: true, listener: { host, port: bound, fd: 3, stop: () => void stopped.push(bound) } };
  };
  const listeners = new Listeners(listen, {
    accept: (_conn, ip, { name, protocols }) => void told.push(`${ip.text} at ${name} for ${[...protocols].join()}`),
    turnAway: (ip, port, { name }) => void told.push(`${ip.text}:${port} not at ${name}`),
  });
  const result = listeners.prepare(plans);
  return { listeners, result, stopped, told, accepts };
}

/** The same, with the plans in effect. */
function openListeners(plans: readonly ListenPlan[]) {
  const stand = openStand(plans);
  if (!stand.result.ok) throw new Error(stand.result.code);
  stand.result.commit();
  return stand;
}

describe("Listeners", () => {
  test("binds every listener, and names it by the port that it got", () => {
    const { listeners, told, accepts, stopped } = openListeners([plan("127.0.0.1", 0), plan("::1", 3128)]);
    expect(listeners.bound).toEqual([
      { host: "127.0.0.1", port: 8080, name: "127.0.0.1:8080", asked: 0, fd: 3 },
      { host: "::1", port: 3128, name: "[::1]:3128", asked: 3128, fd: 3 },
    ]);
    for (const accept of accepts) accept();
    expect(told).toEqual([
      "192.0.2.1 at 127.0.0.1:8080 for http",
      "192.0.2.1:9 not at 127.0.0.1:8080",
      "192.0.2.1 at [::1]:3128 for http",
      "192.0.2.1:9 not at [::1]:3128",
    ]);
    listeners.close();
    expect(stopped).toEqual([8080, 3128]);
  });

  test("leaves none bound when one cannot be", () => {
    const refused = plan("127.0.0.1", 7);
    const { result, stopped } = openStand([plan("127.0.0.1", 0), refused, plan("127.0.0.1", 1)]);
    expect(result).toEqual({ ok: false, plan: refused, code: "EACCES" });
    expect(stopped).toEqual([8080]);
  });

  test("keeps the socket of an address that stays, and serves there what the new plan says", () => {
    const { listeners, told, accepts, stopped } = openListeners([plan("127.0.0.1", 0), plan("127.0.0.1", 1)]);
    const change = listeners.prepare([plan("127.0.0.1", 2), plan("127.0.0.1", 0, "socks5")]);
    if (!change.ok) throw new Error(change.code);
    expect(stopped).toEqual([]);
    change.commit();
    expect(stopped).toEqual([1]);
    expect(listeners.bound.map(({ port }) => port)).toEqual([2, 8080]);
    accepts[0]?.();
    expect(told[0]).toBe("192.0.2.1 at 127.0.0.1:8080 for socks5");
  });

  test("changes nothing when a new one cannot be bound, or the change is given up", () => {
    const { listeners, told, accepts, stopped } = openListeners([plan("127.0.0.1", 0)]);
    expect(listeners.prepare([plan("127.0.0.1", 2), plan("127.0.0.1", 7)]).ok).toBe(false);
    const change = listeners.prepare([plan("127.0.0.1", 0, "socks5"), plan("127.0.0.1", 3)]);
    if (change.ok) change.abandon();
    expect(stopped).toEqual([2, 3]);
    accepts[0]?.();
    expect(told[0]).toBe("192.0.2.1 at 127.0.0.1:8080 for http");
  });

  test("names the listener that is to go when the port of a new one is in use", () => {
    const busy: Listen = (host, port) =>
      host === "127.0.0.1" ? { ok: true, listener: { host, port, stop: () => {} } } : { ok: false, code: "EADDRINUSE" };
    const open = new Listeners(busy, { accept: () => {}, turnAway: () => {} });
    const first = open.prepare([plan("127.0.0.1", 8080)]);
    if (first.ok) first.commit();
    expect(open.prepare([plan("0.0.0.0", 8080)])).toMatchObject({
      ok: false,
      code: "EADDRINUSE",
      leaving: { name: "127.0.0.1:8080" },
    });
    expect(open.prepare([plan("0.0.0.0", 8081)])).not.toHaveProperty("leaving");
  });

  test("formatListener() writes IPv6 in brackets", () => {
    expect([formatListener("localhost", 1), formatListener("::", 2)]).toEqual(["localhost:1", "[::]:2"]);
  });
});
