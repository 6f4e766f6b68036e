import { serveHttp } from "../../src/net/http/serve-http.ts";
import type { FlowFilter } from "../../src/proxy/record/live-table.ts";
import type { LiveView } from "../../src/sidecar/control-port.ts";
import type { SidecarToken } from "../../src/sidecar/guard.ts";
import type { SeriesAnswer } from "../../src/sidecar/series.ts";
import { createSidecarApp } from "../../src/sidecar/sidecar-app.ts";
import { startSidecar } from "../../src/sidecar/serve.ts";
import type { StatusAnswer } from "../../src/sidecar/status.ts";
import type { TunnelRow } from "../../src/sidecar/tunnel-row.ts";
import type { UpstreamState } from "../../src/sidecar/upstreams.ts";
import { grantAll } from "./sidecar-tokens.ts";
import {
  shapeOfTraffic,
  sampleCertificates,
  sampleConfig,
  sampleDetails,
  sampleUpstreams,
  sampleUsage,
} from "./page-samples.ts";

export const PAGE_TOKEN = "page-token";

export interface PageStandOptions {
  readonly rows?: readonly TunnelRow[];
  readonly tokens?: readonly SidecarToken[];
  readonly status?: Partial<StatusAnswer>;
  readonly upstreams?: readonly UpstreamState[];
  /** Milliseconds between ticks of `/live`. */
  readonly everyMs?: number;
  /** What happens before each tick; it may change rows by `stand.rows`. */
  readonly turn?: (rows: Map<string, TunnelRow>) => void;
  readonly port?: number;
}

/** A sidecar, its server and its routes with invented data behind them: what a page shows can be chosen. */
export interface PageStand extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly rows: Map<string, TunnelRow>;
  /** What was to be ended. */
  readonly killed: FlowFilter[];
  readonly bugs: unknown[];
}

const STEPS = 900;

export async function startPageStand(options: PageStandOptions = {}): Promise<PageStand> {
  const rows = new Map((options.rows ?? []).map((row) => [row.id, row]));
  const killed: FlowFilter[] = [];
  const bugs: unknown[] = [];
  const began = Date.now();
  const findStep = (): number => 10_000 + Math.floor((Date.now() - began) / 1000);
  const everyMs = options.everyMs ?? 1000;
  let watchers = 0;

  const view: LiveView = {
    status: () => Promise.resolve({ ...sampleStatus(rows.size), ...options.status }),
    series: (span) => sampleSeries(span === "15m" ? 1000 : 60_000, findStep(), rows.size),
    tunnel(id) {
      const row = rows.get(id);
      return row && sampleDetails(row);
    },
    certificates: () => sampleCertificates,
    live: {
      get watchers() {
        return watchers;
      },
      watch(_filter, most) {
        watchers += 1;
        const watcher = new FakeWatcher(rows, most, everyMs, findStep, options.turn);
        return { next: () => watcher.next(), close: () => void (watchers -= watcher.close()) };
      },
    },
  };
  const app = createSidecarApp(
    {
      readiness: () => ({ ready: true }),
      effectiveConfig: () => sampleConfig,
      metricsText: () => "",
      tunnels: () => [],
      kill(filter) {
        killed.push(filter);
        const ended = [...rows.values()].filter(
          ({ id, user }) => id === filter.id || (user !== undefined && user === filter.user),
        );
        for (const { id } of ended) rows.delete(id);
        return ended.length;
      },
      upstreams: { list: () => options.upstreams ?? sampleUpstreams, disable: () => false, choose: () => [] },
      usage: { report: (question) => Promise.resolve(sampleUsage(question, [...rows.values()])) },
      view,
    },
    { tokens: options.tokens ?? grantAll(PAGE_TOKEN), allowedHosts: [], reportBug: (error) => bugs.push(error) },
  );
  const started = await startSidecar({
    app,
    address: { host: "127.0.0.1", port: options.port ?? 0 },
    serveHttp,
    reportBug: (error) => bugs.push(error),
  });
  if (!started.ok) throw new Error(started.message);
  const port = started.sidecar.port ?? 0;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    rows,
    killed,
    bugs,
    [Symbol.asyncDispose]: () => started.sidecar.stop(),
  };
}

/** Tells the difference to what was told before. */
class FakeWatcher {
  readonly #rows: ReadonlyMap<string, TunnelRow>;
  readonly #most: number;
  readonly #everyMs: number;
  readonly #findStep: () => number;
  readonly #turn: PageStandOptions["turn"];
  #told: Map<string, TunnelRow> | undefined;
  #step = 0;
  #isOpen = true;
  readonly #closed = Promise.withResolvers<void>();

  constructor(
    rows: Map<string, TunnelRow>,
    most: number,
    everyMs: number,
    findStep: () => number,
    turn: PageStandOptions["turn"],
  ) {
    this.#rows = rows;
    this.#most = most;
    this.#everyMs = everyMs;
    this.#findStep = findStep;
    this.#turn = turn && (() => turn(rows));
  }

  close(): number {
    const closed = this.#isOpen ? 1 : 0;
    this.#isOpen = false;
    this.#closed.resolve();
    return closed;
  }

  async next(): Promise<Uint8Array | undefined> {
    if (this.#told === undefined) return this.#begin();
    await Promise.race([Bun.sleep(this.#everyMs), this.#closed.promise]);
    return this.#isOpen ? this.#tick(this.#told) : undefined;
  }

  #select(): Map<string, TunnelRow> {
    return new Map([...this.#rows].slice(0, this.#most).map(([id, row]) => [id, { ...row }]));
  }

  #begin(): Uint8Array {
    this.#told = this.#select();
    this.#step = this.#findStep();
    const point = samplePoint(this.#step, this.#rows.size);
    return event("state", { v: 1, step: this.#step, point, total: this.#rows.size, rows: [...this.#told.values()] });
  }

  #tick(before: Map<string, TunnelRow>): Uint8Array {
    this.#turn?.(new Map(this.#rows));
    const now = this.#select();
    this.#told = now;
    const step = this.#findStep();
    const points = Array.from({ length: step - this.#step }, (_, at) =>
      samplePoint(this.#step + 1 + at, this.#rows.size),
    );
    this.#step = step;
    const add = [...now.values()].filter(({ id }) => !before.has(id));
    const gone = [...before.keys()].filter((id) => !now.has(id));
    const move = [...now.values()].flatMap(({ id, bytes_up, bytes_down }) => {
      const last = before.get(id);
      return last !== undefined && (last.bytes_up !== bytes_up || last.bytes_down !== bytes_down)
        ? [[id, bytes_up, bytes_down]]
        : [];
    });
    return event("tick", { step, points, total: this.#rows.size, add, move, gone });
  }
}

function event(name: string, data: object): Uint8Array {
  return Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}

function samplePoint(step: number, tunnels: number) {
  const wave = shapeOfTraffic(step);
  return {
    at: Date.now(),
    up: Math.round(9_500_000 * wave.up),
    down: Math.round(61_000_000 * wave.down),
    connects: Math.round(38 * wave.down),
    requests: 3,
    refused: step % 40 === 0 ? 2 : 0,
    connections: tunnels + 30,
    tunnels,
    dial_p50_ms: 11 + 2 * wave.up,
    dial_p99_ms: 60 + 45 * wave.down,
  };
}

function sampleSeries(stepMs: number, step: number, tunnels: number): SeriesAnswer {
  const count = stepMs === 1000 ? STEPS : 1440;
  const factor = stepMs / 1000;
  const points = Array.from({ length: count }, (_, at) =>
    samplePoint(step - (count - 1 - at) * (factor === 1 ? 1 : 3), tunnels),
  );
  const scaled = (name: "up" | "down" | "connects" | "requests" | "refused"): number[] =>
    points.map((point) => point[name] * factor);
  return {
    step_ms: stepMs,
    from: new Date(Date.now() - count * stepMs).toISOString(),
    last: step,
    up: scaled("up"),
    down: scaled("down"),
    connects: scaled("connects"),
    requests: scaled("requests"),
    refused: scaled("refused"),
    connections: points.map(({ connections }) => connections),
    tunnels: points.map((point) => point.tunnels),
    dial_p50_ms: points.map(({ dial_p50_ms }) => dial_p50_ms),
    dial_p99_ms: points.map(({ dial_p99_ms }) => dial_p99_ms),
  };
}

function sampleStatus(tunnels: number): StatusAnswer {
  return {
    version: "0.1.0",
    pid: 4711,
    started_at: "2026-11-25T16:04:00.000Z",
    uptime_ms: 3 * 86_400_000 + 7_440_000,
    phase: "serving",
    ready: true,
    warnings: [],
    listeners: [
      { address: "10.20.0.5:3128", tls: false, accepted: 1_827_330 },
      { address: "10.20.0.5:3129", tls: true, accepted: 902_117 },
    ],
    connections: tunnels + 30,
    connection_limit: 10_000,
    tunnels,
    requests: 12,
    totals: { connections: 2_729_447, tunnels: 2_310_404, requests: 401_228, failures: 9_871 },
    bytes_up: 2.1e12,
    bytes_down: 9.4e12,
    rate: { up: 9_480_000, down: 63_720_000 },
    connects_per_s: 38.4,
    requests_per_s: 3.1,
    dial_ms: { count: 2304, p50: 11.8, p99: 94 },
    refusals: { denied_by_rule: 41, dns_name_not_found: 22, connect_timeout: 9, credentials_wrong: 7, rate_limited: 3 },
    upstreams: { healthy: 4, unhealthy: 1 },
    certificates: [
      { name: "10.20.0.5:3129", days: 12 },
      { name: "sidecar", days: 377 },
    ],
    lists: [
      { name: "@dev", state: "good", entries: 1204, failures: 0, read_at: "2026-11-28T17:40:00.000Z" },
      { name: "ads.txt", state: "failing", entries: 88_012, failures: 2, why: "The list answered with 503." },
    ],
    memory_bytes: 74_300_000,
  };
}
