import { describe, expect, test } from "bun:test";
import { AddressSet } from "../../../src/address/address-set.ts";
import { bindListeners, formatListener, type ListenPlan } from "../../../src/gate/listeners.ts";
import type { Listen } from "../../../src/net/runtime/listen.ts";
import { makeIp } from "../../support/make-policy.ts";
import { MemoryConn } from "../../support/memory-conn.ts";

const plan = (host: string, port: number): ListenPlan => ({
  host,
  port,
  protocols: new Set(["http"] as const),
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
    return { ok: true, listener: { host, port: bound, stop: () => void stopped.push(bound) } };
  };
  const result = bindListeners(plans, listen, {
    accept: (_conn, ip, { name }) => void told.push(`${ip.text} at ${name}`),
    turnAway: (ip, port, { name }) => void told.push(`${ip.text}:${port} not at ${name}`),
  });
  return { result, stopped, told, accepts };
}

describe("bindListeners()", () => {
  test("binds every listener, and names it by the port that it got", () => {
    const { result, told, accepts, stopped } = openStand([plan("127.0.0.1", 0), plan("::1", 3128)]);
    if (!result.ok) throw new Error(result.code);
    expect(result.listeners.bound).toEqual([
      { host: "127.0.0.1", port: 8080, name: "127.0.0.1:8080" },
      { host: "::1", port: 3128, name: "[::1]:3128" },
    ]);
    for (const accept of accepts) accept();
    expect(told).toEqual([
      "192.0.2.1 at 127.0.0.1:8080",
      "192.0.2.1:9 not at 127.0.0.1:8080",
      "192.0.2.1 at [::1]:3128",
      "192.0.2.1:9 not at [::1]:3128",
    ]);
    result.listeners.close();
    expect(stopped).toEqual([8080, 3128]);
  });

  test("leaves none bound when one cannot be", () => {
    const refused = plan("127.0.0.1", 7);
    const { result, stopped } = openStand([plan("127.0.0.1", 0), refused, plan("127.0.0.1", 1)]);
    expect(result).toEqual({ ok: false, plan: refused, code: "EACCES" });
    expect(stopped).toEqual([8080]);
  });

  test("formatListener() writes IPv6 in brackets", () => {
    expect([formatListener("localhost", 1), formatListener("::", 2)]).toEqual(["localhost:1", "[::]:2"]);
  });
});
