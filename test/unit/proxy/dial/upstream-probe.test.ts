import { describe, expect, test } from "bun:test";
import { readAccepted } from "../../../../src/config/problem.ts";
import { parseUserTemplate } from "../../../../src/config/user-template.ts";
import { Secret } from "../../../../src/secret.ts";
import type { ConnectResult, ConnectTarget } from "../../../../src/net/runtime/connect.ts";
import type { SocketConn } from "../../../../src/net/runtime/socket-conn.ts";
import { type DefaultRoute, isDefaultRouteOpen } from "../../../../src/proxy/dial/upstream-probe.ts";
import { Pools } from "../../../../src/proxy/upstream/pools.ts";
import { Upstreams } from "../../../../src/proxy/upstream/upstreams.ts";
import type { DialServices } from "../../../../src/proxy/dial/dial-context.ts";
import type { Policy } from "../../../../src/proxy/policy/policy.ts";
import type { Hop } from "../../../../src/proxy/route/hop.ts";
import { makeHop } from "../../../support/dial-stand.ts";
import { createFakeResolver } from "../../../support/fake-resolver.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { waitFor } from "../../../support/wait-for.ts";

/** Upstreams that answer when the test says so. */
function createStand() {
  const clock = { now: 0 };
  const looks: { to: string; closed: boolean; answer: (result: ConnectResult) => void }[] = [];
  const services: DialServices = {
    resolver: createFakeResolver({ "proxy.test": ["192.0.2.1"] }),
    own: { has: (_, port) => port === 8080 },
    upstreams: new Upstreams(),
    pools: new Pools(),
    connect({ ip, port, source }: ConnectTarget, answer) {
      looks.push({
        to: `${source === undefined ? "" : `${source.text} to `}${ip.text}:${port}`,
        closed: false,
        answer,
      });
      return { cancel() {} };
    },
  };
  const isOpen = (runtime: DefaultRoute) => isDefaultRouteOpen(runtime, services, () => clock.now);
  const settle = (index: number, code?: string): void => {
    const look = looks[index];
    const close = (): void => {
      if (look) look.closed = true;
    };
    look?.answer(code === undefined ? { ok: true, conn: { close } as SocketConn } : { ok: false, code });
  };
  return { clock, looks, isOpen, settle };
}

function leadThrough(fallback: Policy["fallback"], ...hops: readonly Hop[]): DefaultRoute {
  return { policy: { fallback }, upstreams: new Map(hops.map((hop) => [hop.name, hop])) };
}

const corp = (port = 3128, more: Partial<Hop> = {}): Hop => makeHop("http", port, { name: "corp", ...more });
const viaCorp = { kind: "allow", via: ["corp"] } as const;

describe("isDefaultRouteOpen()", () => {
  test("is open at once where nothing has to be looked at", () => {
    const { looks, isOpen } = createStand();
    const environment = { bypasses: () => false };
    expect(isOpen(leadThrough({ kind: "allow", via: [] }, corp()))).toBe(true);
    expect(isOpen(leadThrough({ kind: "deny" }, corp()))).toBe(true);
    expect(isOpen({ ...leadThrough({ kind: "allow", via: ["environment"] }), environment })).toBe(true);
    expect(isOpen(leadThrough(viaCorp))).toBe(false);
    expect(looks).toHaveLength(0);
  });

  test("connects to an upstream whose user name needs what only a client has", async () => {
    const { looks, isOpen, settle } = createStand();
    const user = readAccepted(parseUserTemplate("customer-{session}"));
    const open = isOpen(leadThrough(viaCorp, corp(3128, { credentials: { user, password: new Secret("pw") } })));
    await waitFor(() => looks.length === 1, "a look");
    settle(0);
    expect(await open).toBe(true);
  });

  test("connects to the first upstream, and hangs up", async () => {
    const { looks, isOpen, settle } = createStand();
    const first = corp(3128, { endpoint: makeEndpoint("proxy.test:3128"), sourceAddress: "192.0.2.9" });
    const runtime = leadThrough({ kind: "allow", via: ["corp", "far"] }, first, makeHop("http", 1, { name: "far" }));
    const open = isOpen(runtime);
    await waitFor(() => looks.length === 1, "a look");
    settle(0);
    expect(await open).toBe(true);
    expect(looks).toMatchObject([{ to: "192.0.2.9 to 192.0.2.1:3128", closed: true }]);
  });

  test("looks where the environment leads", async () => {
    const { looks, isOpen, settle } = createStand();
    const environment = { tunnel: corp(), bypasses: () => true };
    const open = isOpen({ ...leadThrough({ kind: "allow", via: ["environment"] }), environment });
    await waitFor(() => looks.length === 1, "a look");
    settle(0, "ECONNREFUSED");
    expect(await open).toBe(false);
  });

  test("is shut when the upstream is ourselves, or its name does not resolve", async () => {
    const { looks, isOpen } = createStand();
    expect(await isOpen(leadThrough(viaCorp, corp(8080)))).toBe(false);
    const nowhere = corp(3128, { endpoint: makeEndpoint("nowhere.test:3128") });
    expect(await isOpen(leadThrough(viaCorp, nowhere))).toBe(false);
    expect(looks).toHaveLength(0);
  });

  test("looks once for all who ask, and remembers for a while", async () => {
    const { clock, looks, isOpen, settle } = createStand();
    const runtime = leadThrough(viaCorp, corp());
    const asked = Promise.all([1, 2, 3].map(() => isOpen(runtime)));
    settle(0, "ECONNREFUSED");
    expect(await asked).toEqual([false, false, false]);
    clock.now = 2999;
    expect(isOpen(runtime)).toBe(false);
    clock.now = 3000;
    const again = isOpen(runtime);
    settle(1);
    expect(await again).toBe(true);
    expect(looks).toHaveLength(2);
  });

  test("keeps what it found over a reload that leaves the address, and looks anew at another one", async () => {
    const { looks, isOpen, settle } = createStand();
    const before = isOpen(leadThrough(viaCorp, corp(1)));
    settle(0);
    expect(await before).toBe(true);
    expect(isOpen(leadThrough(viaCorp, corp(1, { tunnelHttp: true })))).toBe(true);
    const after = isOpen(leadThrough(viaCorp, corp(2)));
    settle(1, "ECONNREFUSED");
    expect(await after).toBe(false);
    expect(looks.map(({ to }) => to)).toEqual(["127.0.0.1:1", "127.0.0.1:2"]);
  });
});
