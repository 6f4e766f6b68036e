import { describe, expect, test } from "bun:test";
import type { ConnectResult, ConnectTarget } from "../../../../src/net/runtime/connect.ts";
import type { SocketConn } from "../../../../src/net/runtime/socket-conn.ts";
import { UpstreamProbe, type UpstreamProbeRuntime } from "../../../../src/proxy/dial/upstream-probe.ts";
import type { Policy } from "../../../../src/proxy/policy/policy.ts";
import type { Hop } from "../../../../src/proxy/route/route.ts";
import { makeHop } from "../../../support/dial-stand.ts";
import { createFakeResolver } from "../../../support/fake-resolver.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { waitFor } from "../../../support/wait-for.ts";

/** Upstreams that answer when the test says so. */
function createStand() {
  const clock = { now: 0 };
  const looks: { to: string; closed: boolean; answer: (result: ConnectResult) => void }[] = [];
  const upstreamProbe = new UpstreamProbe(
    {
      resolver: createFakeResolver({ "proxy.test": ["192.0.2.1"] }),
      own: { has: (_, port) => port === 8080 },
      connect({ ip, port, source }: ConnectTarget, answer) {
        looks.push({
          to: `${source === undefined ? "" : `${source.text} to `}${ip.text}:${port}`,
          closed: false,
          answer,
        });
        return { cancel() {} };
      },
    },
    () => clock.now,
  );
  const settle = (index: number, code?: string): void => {
    const look = looks[index];
    const close = (): void => {
      if (look) look.closed = true;
    };
    look?.answer(code === undefined ? { ok: true, conn: { close } as SocketConn } : { ok: false, code });
  };
  return { clock, looks, upstreamProbe, settle };
}

function leadThrough(fallback: Policy["fallback"], ...hops: readonly Hop[]): UpstreamProbeRuntime {
  return { policy: { fallback }, upstreams: new Map(hops.map((hop) => [hop.name, hop])) };
}

const corp = (port = 3128, more: Partial<Hop> = {}): Hop => makeHop("http", port, { name: "corp", ...more });
const viaCorp = { kind: "allow", via: ["corp"] } as const;

describe("UpstreamProbe", () => {
  test("is open at once where nothing has to be looked at", () => {
    const { looks, upstreamProbe } = createStand();
    const environment = { bypasses: () => false };
    expect(upstreamProbe.isOpen(leadThrough({ kind: "allow", via: [] }, corp()))).toBe(true);
    expect(upstreamProbe.isOpen(leadThrough({ kind: "deny" }, corp()))).toBe(true);
    expect(upstreamProbe.isOpen({ ...leadThrough({ kind: "allow", via: ["environment"] }), environment })).toBe(true);
    expect(upstreamProbe.isOpen(leadThrough(viaCorp))).toBe(false);
    expect(looks).toHaveLength(0);
  });

  test("connects to the first upstream, and hangs up", async () => {
    const { looks, upstreamProbe, settle } = createStand();
    const first = corp(3128, { endpoint: makeEndpoint("proxy.test:3128"), sourceAddress: "192.0.2.9" });
    const runtime = leadThrough({ kind: "allow", via: ["corp", "far"] }, first, makeHop("http", 1, { name: "far" }));
    const open = upstreamProbe.isOpen(runtime);
    await waitFor(() => looks.length === 1, "a look");
    settle(0);
    expect(await open).toBe(true);
    expect(looks).toMatchObject([{ to: "192.0.2.9 to 192.0.2.1:3128", closed: true }]);
  });

  test("looks where the environment leads", async () => {
    const { looks, upstreamProbe, settle } = createStand();
    const environment = { tunnel: corp(), bypasses: () => true };
    const open = upstreamProbe.isOpen({ ...leadThrough({ kind: "allow", via: ["environment"] }), environment });
    await waitFor(() => looks.length === 1, "a look");
    settle(0, "ECONNREFUSED");
    expect(await open).toBe(false);
  });

  test("is shut when the upstream is ourselves, or its name does not resolve", async () => {
    const { looks, upstreamProbe } = createStand();
    expect(await upstreamProbe.isOpen(leadThrough(viaCorp, corp(8080)))).toBe(false);
    const nowhere = corp(3128, { endpoint: makeEndpoint("nowhere.test:3128") });
    expect(await upstreamProbe.isOpen(leadThrough(viaCorp, nowhere))).toBe(false);
    expect(looks).toHaveLength(0);
  });

  test("looks once for all who ask, and remembers for a while", async () => {
    const { clock, looks, upstreamProbe, settle } = createStand();
    const runtime = leadThrough(viaCorp, corp());
    const asked = Promise.all([1, 2, 3].map(() => upstreamProbe.isOpen(runtime)));
    settle(0, "ECONNREFUSED");
    expect(await asked).toEqual([false, false, false]);
    clock.now = 2999;
    expect(upstreamProbe.isOpen(runtime)).toBe(false);
    clock.now = 3000;
    const again = upstreamProbe.isOpen(runtime);
    settle(1);
    expect(await again).toBe(true);
    expect(looks).toHaveLength(2);
  });

  test("looks anew after a reload, but never at two upstreams at a time", async () => {
    const { looks, upstreamProbe, settle } = createStand();
    const before = upstreamProbe.isOpen(leadThrough(viaCorp, corp(1)));
    const after = upstreamProbe.isOpen(leadThrough(viaCorp, corp(2)));
    expect(looks.map(({ to }) => to)).toEqual(["127.0.0.1:1"]);
    settle(0);
    expect(await before).toBe(true);
    await waitFor(() => looks.length === 2, "the other look");
    settle(1, "ECONNREFUSED");
    expect(await after).toBe(false);
  });
});
