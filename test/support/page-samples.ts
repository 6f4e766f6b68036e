import type { CertificateRow } from "../../src/sidecar/certificates.ts";
import type { TunnelDetails } from "../../src/sidecar/tunnel-details.ts";
import type { TunnelRow } from "../../src/sidecar/tunnel-row.ts";
import type { UpstreamState } from "../../src/sidecar/upstreams.ts";
import type { UsageQuestion, UsageReport } from "../../src/sidecar/usage.ts";

// What a busy proxy may look like. No number is random: pictures of it are the same each time.

const users = ["alice", "bob", "ci-runner", "data-sync", "erin", "frankfurt-edge", "grafana", "hr-portal", "ingest"];
const targets = [
  "api.github.example:443",
  "registry.npm.example:443",
  "storage.cloud.example:443",
  "deb.mirror.example:443",
  "hooks.chat.example:443",
  "www.example.org:443",
  "s3.eu-central-1.cloud.example:443",
  "login.corp.example:443",
  "pypi.example:443",
  "updates.vendor.example:8443",
];
const fingerprints = [
  "t13d1516h2_8daaf6152771_b186095e22b6",
  "t13d311200_e8f1e7e78f70_d41ae481755e",
  "t12d190800_d83cc789557e_7af1ed941c26",
];

/** A number between 0 and 1 that looks random, and is the same for the same `seed`. */
function scatter(seed: number): number {
  const wild = Math.sin(seed * 12.9898 + 78.233) * 43_758.5453;
  return wild - Math.floor(wild);
}

/** The traffic of a second, in shares of what is usual. */
export function shapeOfTraffic(step: number): { readonly up: number; readonly down: number } {
  const base = 1 + 0.42 * Math.sin(step / 71) + 0.22 * Math.sin(step / 19) + (step % 257 < 24 ? 0.7 : 0);
  return {
    down: Math.max(0.05, base + 0.07 * scatter(step)),
    up: Math.max(0.05, base * (0.85 + 0.15 * scatter(step + 0.5))),
  };
}

/** The tunnel or request of a number. */
export function sampleRow(number: number): TunnelRow {
  const target = targets[Math.floor(scatter(number) * targets.length)] ?? "";
  const isRequest = number % 23 === 0;
  const host = target.slice(0, target.lastIndexOf(":"));
  return {
    kind: isRequest ? "request" : "tunnel",
    id: `k3v9q1-${number}`,
    listener: "10.20.0.5:3128",
    client: `10.20.${number % 250}.${(number * 7) % 250}:${40_000 + (number % 20_000)}`,
    user: users[Math.floor(scatter(number + 0.25) * users.length)],
    protocol: "http",
    method: isRequest ? "GET" : undefined,
    scheme: isRequest ? "http" : undefined,
    target: isRequest ? `${host}:80` : target,
    dialled: `192.0.2.${number % 250}:443`,
    rule: "default",
    route: scatter(number + 0.75) < 0.6 ? "direct" : "corp",
    inside: isRequest ? undefined : "tls",
    tls: isRequest
      ? undefined
      : {
          sni: host,
          alpn: "h2,http/1.1",
          version: "TLS 1.3",
          cipher: "TLS_AES_128_GCM_SHA256",
          ja4: fingerprints[number % 3],
          handshake_ms: 21 + 9 * scatter(number),
        },
    started_at: "2026-11-28T17:04:11.000Z",
    age_ms: Math.floor(scatter(number + 0.1) ** 3 * 9_000_000),
    bytes_up: Math.floor(scatter(number + 0.2) ** 4 * 4e7),
    bytes_down: Math.floor(scatter(number + 0.3) ** 4 * 9e8),
  };
}

export function sampleRows(count: number): TunnelRow[] {
  return Array.from({ length: count }, (_, at) => sampleRow(at + 1));
}

/** Moves bytes in a third of the rows. `second` makes each time different. */
export function moveRows(rows: ReadonlyMap<string, TunnelRow>, second: number): void {
  let index = 0;
  for (const row of rows.values()) {
    index += 1;
    if (scatter(index + second * 0.37) > 0.35) continue;
    row.bytes_down += Math.floor(scatter(index * 3 + second) ** 3 * 3e6);
    row.bytes_up += Math.floor(scatter(index * 5 + second) ** 3 * 4e5);
  }
}

export function sampleDetails(row: TunnelRow): TunnelDetails {
  const stages = [
    { name: "accept", at_ms: 0, ms: 0.1 },
    { name: "authenticate", at_ms: 0.1, ms: 2.2 },
    { name: "decide", at_ms: 2.3, ms: 0.1 },
    { name: "resolve", at_ms: 2.4, ms: 8.1 },
    { name: "dial", at_ms: 10.5, ms: 14.2 },
    { name: "tunnel", at_ms: 24.7, ms: row.age_ms },
  ];
  if (row.tls === undefined)
    return { ...row, stages, handshake: { messages: [], hidden: "A forwarded request has no handshake of its own." } };
  return {
    ...row,
    member: row.route === "direct" ? undefined : "edge-1",
    attempts: 1,
    status: 200,
    stages,
    handshake: {
      messages: [
        { from: "client", name: "ClientHello", bytes: 517, at_ms: 0 },
        { from: "server", name: "ServerHello", bytes: 122, at_ms: 21.2 },
        { from: "server", name: "ChangeCipherSpec", bytes: 1, at_ms: 21.2 },
        { from: "server", name: "handshake", bytes: 2811, at_ms: 21.4, encrypted: true },
        { from: "client", name: "ChangeCipherSpec", bytes: 1, at_ms: 22 },
        { from: "client", name: "handshake", bytes: 53, at_ms: 22, encrypted: true },
      ],
      hidden: "TLS 1.3 encrypts what follows the ServerHello.",
    },
  };
}

export const sampleCertificates: readonly CertificateRow[] = [
  {
    used_by: "10.20.0.5:3129",
    file: "/etc/penstock/proxy.pem",
    names: ["proxy.corp.example", "proxy"],
    issuer: "CN=Corp Issuing CA 3",
    not_before: "2026-03-01T00:00:00.000Z",
    not_after: "2026-12-10T12:00:00.000Z",
    days: 12,
    warnings: [],
  },
  {
    used_by: "sidecar",
    file: "/etc/penstock/sidecar.pem",
    names: ["edge.corp.example"],
    issuer: "CN=Corp Issuing CA 3",
    not_before: "2026-03-01T00:00:00.000Z",
    not_after: "2027-12-10T12:00:00.000Z",
    days: 377,
    warnings: [],
  },
];

export const sampleConfig = {
  listen: [
    { host: "10.20.0.5", port: 3128 },
    { host: "10.20.0.5", port: 3129, tls: { cert: "proxy.pem", key: "[redacted]" } },
  ],
  users: [{ name: "alice", password: "[redacted]" }],
  upstreams: { corp: { pool: ["http://edge-1:3128", "http://edge-2:3128"], balance: "least-connections" } },
  rules: [{ name: "corp", to: ["*.corp.example"], via: "corp" }],
  default: "direct",
  timeouts: { connect: "10s", idle: "5m", drain: "30s" },
  limits: { connections: 10_000 },
};

function sampleMember(name: string, at: number) {
  const isEjected = at === 2;
  return {
    name,
    backup: at === 4,
    weight: 1 + (at % 3),
    maxConnections: at === 0 ? 500 : 0,
    health: isEjected ? ("ejected" as const) : ("healthy" as const),
    disabled: at === 3,
    reason: isEjected ? "connect_timeout" : undefined,
    sinceMs: 4_000_000 * (at + 1),
    leftMs: isEjected ? 21_000 : undefined,
    connections: Math.max(0, 120 - 31 * at),
    dialling: at === 0 ? 2 : 0,
    dialled: 104_233 - 18_411 * at,
    failed: 3 * at,
    failures: isEjected ? 5 : 0,
    ejections: isEjected ? 1 : 0,
    latencyMs: { p50: 8 + at, p99: 61 + 17 * at, average: 10 + at },
  };
}

export const sampleUpstreams: readonly UpstreamState[] = [
  {
    name: "corp",
    balance: "least-connections",
    waiting: 2,
    sessions: 120,
    members: ["edge-1", "edge-2", "edge-3", "edge-4", "spare"].map(sampleMember),
  },
  { name: "next", kind: "https", address: "proxy.partner.example:443", dialling: 0, dialled: 2011, failed: 4 },
];

/** Use of the users of some rows. */
export function sampleUsage({ by, top }: UsageQuestion, rows: readonly TunnelRow[]): UsageReport {
  const names = [...new Set(rows.flatMap(({ user }) => user ?? []))].slice(0, top);
  const reset = "2026-11-29T00:00:00.000Z";
  return {
    by,
    since: "2026-11-28",
    day: "2026-11-28",
    month: "2026-11-01",
    counting_since: "2026-11-25T16:04:00.000Z",
    kept: true,
    others: { up: 0, down: 0, requests: 0, number: 0 },
    rows: names.map((key, at) => {
      const day = Math.round(2e11 / (at + 1));
      const used = { up: day / 20, down: day, requests: 10_000 };
      return {
        key,
        open: rows.filter(({ user }) => user === key).length,
        rate: { up: Math.round(2e6 / (at + 1)), down: Math.round(2.4e7 / (at + 1)) },
        today: used,
        month: { up: used.up * 14, down: used.down * 14, requests: 140_000 },
        since: used,
        refused: at === 2 ? { "limits.perUser": 12 } : {},
        ...(at === 1 && { limits: { connections: 200, bytes_per_second: { down: 25_000_000 } } }),
        ...(at % 3 === 0 && {
          quota: { day: { limit: 2.2e11, used: day * 1.05, left: Math.max(0, 2.2e11 - day * 1.05), resets_at: reset } },
        }),
      };
    }),
  };
}
