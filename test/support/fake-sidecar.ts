import type { FlowFilter } from "../../src/proxy/record/live-table.ts";
import type { TunnelRow } from "../../src/sidecar/tunnel-row.ts";
import type { SeriesAnswer } from "../../src/sidecar/series.ts";
import type { StatusAnswer } from "../../src/sidecar/status.ts";
import { createSidecarApp } from "../../src/sidecar/sidecar-app.ts";
import { grantAll } from "./sidecar-tokens.ts";

/** The token of the sidecars of tests. */
export const FAKE_TOKEN = "of-a-fake";

export const fakeStatus: StatusAnswer = {
  version: "1.2.3",
  pid: 4242,
  started_at: "2026-11-28T12:00:00.000Z",
  uptime_ms: 11_520_000,
  phase: "serving",
  ready: true,
  warnings: [],
  listeners: [{ address: "127.0.0.1:8080", tls: false, accepted: 12_345 }],
  connections: 1250,
  connection_limit: 10_000,
  tunnels: 1234,
  requests: 12,
  totals: { connections: 12_345, tunnels: 9000, requests: 800, failures: 15 },
  bytes_up: 5e9,
  bytes_down: 7e10,
  rate: { up: 1_200_000, down: 34_500_000 },
  connects_per_s: 45.2,
  requests_per_s: 3,
  dial_ms: { count: 400, p50: 12.3, p99: 80 },
  refusals: { denied_by_rule: 12, dns_error: 3 },
  upstreams: { healthy: 3, unhealthy: 1 },
  certificates: [{ name: "proxy.example.org", days: 12 }],
  lists: [],
  memory_bytes: 84e6,
};

const fakeSeries: SeriesAnswer = {
  step_ms: 1000,
  from: "2026-11-28T12:00:00.000Z",
  last: 3,
  up: [0, 1000, 2000],
  down: [0, 5000, 9000],
  connects: [0, 1, 2],
  requests: [0, 0, 0],
  refused: [0, 0, 1],
  connections: [1, 2, 3],
  tunnels: [1, 2, 3],
  dial_p50_ms: [null, 1, 2],
  dial_p99_ms: [null, 3, 4],
};

export function makeRow(id: string, more: Partial<TunnelRow> = {}): TunnelRow {
  return {
    kind: "tunnel",
    id,
    listener: "127.0.0.1:8080",
    client: "10.0.0.9:50123",
    user: "alice",
    protocol: "http",
    target: "example.org:443",
    rule: "default",
    route: "direct",
    started_at: "2026-11-28T12:00:00.000Z",
    age_ms: 65_000,
    bytes_up: 1000,
    bytes_down: 2000,
    ...more,
  };
}

/** A sidecar of a proxy that a test makes up: the real app, on a free port. */
export interface FakeSidecar extends Disposable {
  readonly url: string;
  /** What it shows; a test may change it. */
  rows: TunnelRow[];
  status: StatusAnswer;
  series: SeriesAnswer;
  /** What it was asked to end. */
  readonly killed: FlowFilter[];
  /** Sends an event of `/live` to those who watch. */
  tell(event: "state" | "tick", data: object): void;
  /** Ends the streams of those who watch. */
  hangUp(): void;
  /** Those who watch `/live`. */
  watchers(): number;
}

export function startFakeSidecar(rows: TunnelRow[] = []): FakeSidecar {
  const watchers = new Set<Watcher>();
  const killed: FlowFilter[] = [];
  const matches = (filter: FlowFilter): TunnelRow[] =>
    fake.rows.filter(
      ({ id, user }) =>
        (filter.id === undefined || filter.id === id) && (filter.user === undefined || filter.user === user),
    );
  const app = createSidecarApp(
    {
      readiness: () => ({ ready: true }),
      effectiveConfig: () => ({}),
      metricsText: () => "",
      tunnels: (filter) =>
        matches(filter).map((row) => ({
          ...row,
          tls: undefined,
          startedAt: row.started_at,
          ageMs: row.age_ms,
          bytesUp: row.bytes_up,
          bytesDown: row.bytes_down,
        })) as never,
      kill: (filter) => {
        killed.push(filter);
        const found = matches(filter);
        fake.rows = fake.rows.filter((row) => !found.includes(row));
        return found.length;
      },
      view: {
        status: () => Promise.resolve(fake.status),
        series: () => fake.series,
        tunnel: (id) => {
          const row = fake.rows.find((each) => each.id === id);
          return (
            row && {
              ...row,
              stages: [{ name: "dial", at_ms: 0, ms: 12 }],
              handshake: { messages: [{ from: "client", name: "ClientHello", bytes: 517, at_ms: 0 }] },
            }
          );
        },
        certificates: () => [],
        live: {
          get watchers() {
            return watchers.size;
          },
          watch: () => {
            const watcher = new Watcher(() => watchers.delete(watcher));
            watchers.add(watcher);
            return watcher;
          },
        },
      },
    },
    { tokens: grantAll(FAKE_TOKEN) },
  );
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: (request) => app.fetch(request) });
  const fake: FakeSidecar = {
    url: `http://127.0.0.1:${server.port}`,
    rows,
    status: fakeStatus,
    series: fakeSeries,
    killed,
    tell: (event, data) => {
      for (const watcher of watchers) watcher.push(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    hangUp: () => {
      for (const watcher of watchers) watcher.close();
    },
    watchers: () => watchers.size,
    [Symbol.dispose]: () => void server.stop(true),
  };
  return fake;
}

class Watcher {
  readonly #queue: string[] = [];
  readonly #forget: () => void;
  #waiting: ((bytes: Uint8Array | undefined) => void) | undefined;
  #isClosed = false;

  constructor(forget: () => void) {
    this.#forget = forget;
  }

  push(text: string): void {
    this.#queue.push(text);
    this.#wake();
  }

  next(): Promise<Uint8Array | undefined> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#wake();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#forget();
    this.#wake();
  }

  #wake(): void {
    const text = this.#queue[0];
    if (this.#waiting === undefined || (text === undefined && !this.#isClosed)) return;
    const resolve = this.#waiting;
    this.#waiting = undefined;
    this.#queue.shift();
    resolve(text === undefined ? undefined : Buffer.from(text));
  }
}
