import { describe, expect, test } from "bun:test";
import { certificatesAnswer } from "../../../src/sidecar/certificates.ts";
import type { LiveView } from "../../../src/sidecar/control-port.ts";
import { liveState, liveTick } from "../../../src/sidecar/live.ts";
import { seriesAnswer } from "../../../src/sidecar/series.ts";
import { createSidecarApp } from "../../../src/sidecar/sidecar-app.ts";
import { statusAnswer } from "../../../src/sidecar/status.ts";
import { tunnelDetails, type TunnelDetails } from "../../../src/sidecar/tunnel-details.ts";
import { tunnelsAnswer } from "../../../src/sidecar/tunnel-row.ts";
import { grantAll } from "../../support/sidecar-tokens.ts";

const TOKEN = "s3cret-Token";

const row = {
  kind: "tunnel",
  id: "abc-1",
  listener: "127.0.0.1:8080",
  client: "10.0.0.9:50123",
  user: "alice",
  target: "example.org:443",
  started_at: "2026-01-02T00:00:00.000Z",
  age_ms: 1500,
  bytes_up: 10,
  bytes_down: 20,
} as const;

const details: TunnelDetails = {
  ...row,
  stages: [{ name: "dial", at_ms: 1.5, ms: 20 }],
  handshake: { messages: [{ from: "client", name: "ClientHello", bytes: 517, at_ms: 0 }] },
};

const point = {
  at: 1_790_000_000_000,
  up: 1,
  down: 2,
  connects: 3,
  requests: 4,
  refused: 5,
  connections: 6,
  tunnels: 7,
  dial_p50_ms: 1.5,
  dial_p99_ms: null,
};

const view: LiveView = {
  status: () =>
    Promise.resolve({
      version: "1.2.3",
      pid: 42,
      started_at: "2026-01-02T00:00:00.000Z",
      uptime_ms: 1000,
      phase: "serving",
      ready: true,
      warnings: ["One."],
      listeners: [{ address: "127.0.0.1:8080", tls: false, accepted: 9 }],
      connections: 1,
      connection_limit: 10_000,
      tunnels: 1,
      requests: 0,
      totals: { connections: 9, tunnels: 7, requests: 1, failures: 2 },
      bytes_up: 100,
      bytes_down: 200,
      rate: { up: 10, down: 20 },
      connects_per_s: 0.5,
      requests_per_s: 0.1,
      dial_ms: { count: 3, p50: 1.5, p99: null },
      refusals: { denied_by_rule: 2 },
      upstreams: { healthy: 1, unhealthy: 0 },
      certificates: [{ name: "proxy.example", days: 89 }],
      lists: [],
      memory_bytes: 50_000_000,
    }),
  series: (span) => ({
    step_ms: span === "15m" ? 1000 : 60_000,
    from: "2026-01-02T00:00:00.000Z",
    last: 1,
    up: [1],
    down: [2],
    connects: [3],
    requests: [4],
    refused: [5],
    connections: [6],
    tunnels: [7],
    dial_p50_ms: [1.5],
    dial_p99_ms: [null],
  }),
  tunnel: (id) => (id === row.id ? details : undefined),
  certificates: () => [
    {
      used_by: "127.0.0.1:8080",
      file: "proxy.pem",
      names: ["proxy.example"],
      issuer: "Example CA",
      not_before: "2026-01-01T00:00:00.000Z",
      not_after: "2026-04-01T00:00:00.000Z",
      days: 89,
      warnings: [],
    },
  ],
  live: { watchers: 0, watch: () => watchEvents(["event: state\n\n"]) },
};

/** A watcher that gives these events and ends. */
function watchEvents(events: string[]) {
  return {
    next: () => Promise.resolve(events.length === 0 ? undefined : Buffer.from(events.shift() ?? "")),
    close() {},
  };
}

function makeApp(changes: Partial<LiveView> = {}) {
  return createSidecarApp(
    {
      readiness: () => ({ ready: true }),
      effectiveConfig: () => ({}),
      metricsText: () => "",
      tunnels: () => [],
      kill: () => 0,
      view: { ...view, ...changes },
    },
    { tokens: grantAll(TOKEN), allowedHosts: [] },
  );
}

function ask(path: string, changes?: Partial<LiveView>) {
  return makeApp(changes).request(path, { headers: { Authorization: `Bearer ${TOKEN}` } });
}

describe("the answers for the page and the terminal", () => {
  test.each(["/status", "/series", "/live", "/tunnels/abc-1", "/certificates"])("%s needs the token", async (path) => {
    expect((await makeApp().request(path)).status).toBe(401);
  });

  test.each(["/status", "/series", "/live", "/certificates"])("%s is only read", async (path) => {
    const response = await makeApp().request(path, { method: "POST", headers: { Authorization: `Bearer ${TOKEN}` } });
    expect(response.status).toBe(405);
    expect(response.headers.get("Allow")).toBe("GET, HEAD");
  });

  test("have the form that is described", async () => {
    expect(statusAnswer.parse(await (await ask("/status")).json())).toEqual(await view.status());
    expect(seriesAnswer.parse(await (await ask("/series")).json())).toEqual(view.series("15m"));
    expect(tunnelDetails.parse(await (await ask("/tunnels/abc-1")).json())).toEqual(details);
    expect(tunnelsAnswer.parse(await (await ask("/tunnels")).json())).toEqual({ tunnels: [] });
    const certificates = certificatesAnswer.parse(await (await ask("/certificates")).json());
    expect(certificates).toEqual({ certificates: [...view.certificates()] });
  });

  test("of events have the form that is described", () => {
    const state = { v: 1, step: 5, point, total: 1, rows: [row] };
    const tick = { step: 6, points: [point], total: 0, add: [row], move: [["abc-1", 1, 2]], gone: ["abc-1"] };
    expect<unknown>(liveState.parse(state)).toEqual(state);
    expect<unknown>(liveTick.parse(tick)).toEqual(tick);
  });
});

describe("GET /series", () => {
  test("gives seconds or minutes", async () => {
    expect(await (await ask("/series?span=15m")).json()).toMatchObject({ step_ms: 1000 });
    expect(await (await ask("/series?span=1d")).json()).toMatchObject({ step_ms: 60_000 });
  });

  test("refuses another span", async () => {
    const response = await ask("/series?span=1h");
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ detail: 'span is "1h". Wanted is one of 15m, 1d.' });
  });
});

describe("GET /tunnels/:id", () => {
  test("answers 404 for a tunnel that is over", async () => {
    expect((await ask("/tunnels/abc-2")).status).toBe(404);
  });
});

describe("GET /live", () => {
  test("streams events until the watcher ends", async () => {
    const response = await ask("/live");
    expect(response.headers.get("Content-Type")).toBe("text/event-stream; charset=utf-8");
    expect(await response.text()).toBe("event: state\n\n");
  });

  test("passes on which rows are wanted, and how many", async () => {
    const wanted: unknown[] = [];
    const live = {
      watchers: 0,
      watch: (...args: unknown[]) => {
        wanted.push(args);
        return watchEvents([]);
      },
    };
    await ask("/live?user=alice&tunnels=5000", { live });
    await ask("/live", { live });
    expect(wanted).toEqual([
      [{ user: "alice" }, 5000],
      [{}, 500],
    ]);
  });

  test.each(["5001", "-1", "1e3", "x"])("refuses %s rows", async (rows) => {
    expect((await ask(`/live?tunnels=${rows}`)).status).toBe(400);
  });

  test("refuses one watcher too many", async () => {
    const response = await ask("/live", { live: { watchers: 12, watch: () => watchEvents([]) } });
    expect(response.status).toBe(429);
    expect(response.headers.get("Retry-After")).toBe("10");
  });

  test("answers HEAD without watching", async () => {
    const app = makeApp({ live: { watchers: 0, watch: () => expect.unreachable("nobody is to watch") } });
    const response = await app.request("/live", { method: "HEAD", headers: { Authorization: `Bearer ${TOKEN}` } });
    expect(response.status).toBe(200);
  });
});
