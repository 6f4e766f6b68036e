import { describe, expect, test } from "bun:test";
import { chooseRoute, type RouteRequest } from "../../../../src/proxy/route/choose-route.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import type { Hop } from "../../../../src/proxy/route/hop.ts";
import { type EnvironmentRoutes, resolvesNames } from "../../../../src/proxy/route/route.ts";
import { makeMember, makePoolPlan } from "../../../support/make-pool.ts";

function makeHop(name: string, more: Partial<Hop> = {}): Hop {
  return { name, kind: "http", endpoint: makeEndpoint(`${name}.test:3128`), ...more };
}

const corp = makeHop("corp");
const exit = makeHop("exit", { sourceAddress: "192.0.2.9" });
const exits = makePoolPlan(["a", makeMember("b", { way: "direct", backup: true })], { name: "exits" });
const outer = makeHop("https_proxy");
const environment: EnvironmentRoutes = {
  tunnel: outer,
  bypasses: (host, port) => host === "inside.test" && port === 443,
};

function choose(
  via: readonly string[],
  more: { sourceAddress?: string; target?: string; environment?: EnvironmentRoutes } = {},
) {
  const request: RouteRequest = {
    runtime: {
      upstreams: new Map([corp, exit, exits].map((step) => [step.name, step])),
      ...(more.environment && { environment: more.environment }),
    },
    target: makeEndpoint(more.target ?? "a.example:443"),
  };
  const { sourceAddress } = more;
  const decision = {
    verdict: "allow",
    rule: "r",
    allowPrivate: false,
    via,
    ...(sourceAddress && { sourceAddress }),
  } as const;
  return chooseRoute(request, decision);
}

describe("chooseRoute()", () => {
  test("goes directly without a route, and when told so", () => {
    for (const via of [[], ["direct"]]) {
      const outcome = choose(via);
      expect(outcome).toEqual({ ok: true, value: { name: "direct", hops: [] } });
    }
  });

  test("goes through upstreams in order", () => {
    expect(choose(["corp", "exit"])).toEqual({ ok: true, value: { name: "corp > exit", hops: [corp, exit] } });
  });

  test("keeps pools for the dial to choose from", () => {
    expect(choose(["corp", "exits"])).toEqual({ ok: true, value: { name: "corp > exits", steps: [corp, exits] } });
    expect(choose(["exits"], { sourceAddress: "192.0.2.1" })).toMatchObject({ value: { sourceAddress: "192.0.2.1" } });
  });

  test("leaves names to a pool only when each of its members resolves them", () => {
    const [remote, local] = ["socks5h", "socks5"].map((kind) => makeHop(kind, { kind: kind as "socks5" }));
    const lead = (...ways: readonly Hop[]) => ({
      name: "p",
      steps: [makePoolPlan(ways.map((way) => makeMember(way.name, { way })))],
    });
    if (remote === undefined || local === undefined) throw new Error("There are no hops");
    expect(resolvesNames(lead(corp, remote))).toBe(true);
    expect(resolvesNames(lead(corp, local))).toBe(false);
    expect(resolvesNames({ name: "p", steps: [exits] })).toBe(false);
    expect(resolvesNames({ name: "direct", hops: [] })).toBe(false);
    expect(resolvesNames({ name: "corp", hops: [local, corp] })).toBe(true);
  });

  test("connects from the address of the rule, or else of the first hop", () => {
    expect(choose(["exit"])).toMatchObject({ value: { sourceAddress: "192.0.2.9" } });
    expect(choose(["corp", "exit"])).not.toHaveProperty("value.sourceAddress");
    expect(choose(["exit"], { sourceAddress: "192.0.2.1" })).toMatchObject({
      value: { sourceAddress: "192.0.2.1" },
    });
    expect(choose([], { sourceAddress: "192.0.2.1" })).toMatchObject({
      value: { name: "direct", sourceAddress: "192.0.2.1" },
    });
  });

  test("refuses a route that names no upstream", () => {
    for (const via of [["nope"], ["corp", "nope"], ["corp", "direct"], ["environment", "corp"]]) {
      const outcome = choose(via);
      expect(outcome).toMatchObject({ ok: false, failure: { detail: "no_upstream" } });
    }
  });

  test("goes where the environment leads, but for targets that it exempts", () => {
    expect(choose(["environment"], { environment })).toMatchObject({
      value: { name: "https_proxy", hops: [outer] },
    });
    expect(choose(["environment"], { environment, target: "inside.test:443" })).toMatchObject({
      value: { name: "direct" },
    });
    expect(choose(["environment"], { environment, target: "inside.test:80" })).toMatchObject({
      value: { hops: [outer] },
    });
  });

  test("goes directly where the environment says nothing", () => {
    expect(choose(["environment"])).toMatchObject({ value: { name: "direct" } });
    expect(choose(["environment"], { environment: { bypasses: () => false } })).toMatchObject({
      value: { name: "direct" },
    });
  });
});
