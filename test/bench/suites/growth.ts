import { drawCurves, writeCurves, type Curves } from "../curves.ts";
import { haproxyTuned } from "../peers/haproxy.ts";
import { penstock, penstockRelay } from "../peers/penstock.ts";
import { fetchAndClose, formatBytes, moveBulk, playPingPong, stayIdle } from "../scenarios.ts";
import type { Suite } from "./suite.ts";

const tunnelCounts = [1, 10, 100, 1000, 8000];
const tunnels = { label: "tunnels at once", format: (count: number) => count.toLocaleString("en") };
const bulk = tunnelCounts.map((count) => ({ x: count, scenario: moveBulk("down", count) }));
const idle = tunnelCounts.map((count) => ({ x: count, scenario: stayIdle(count) }));
const bytes = [1, 16, 256, 4096, 65_536].map((kilobytes) => kilobytes * 1024);
const messages = [64, 1024, 4096, 16_384, 65_536];

const curves: readonly Curves[] = [
  {
    name: "growth-tunnels-bulk-cost",
    title: "Bulk down: CPU per GB, by tunnels",
    x: tunnels,
    y: { label: "CPU-s per GB", of: ({ cpu }) => cpu, digits: 3 },
    points: bulk,
  },
  {
    name: "growth-tunnels-bulk-rate",
    title: "Bulk down: throughput, by tunnels",
    x: tunnels,
    y: { label: "GB/s", of: ({ rate }) => rate, digits: 2 },
    points: bulk,
  },
  {
    name: "growth-tunnels-ping-pong",
    title: "Ping-pong of 64 B: CPU per round trip, by tunnels",
    x: tunnels,
    y: { label: "CPU µs per round trip", of: readMicroseconds, digits: 1 },
    points: tunnelCounts.map((count) => ({ x: count, scenario: playPingPong(64, count) })),
  },
  {
    name: "growth-tunnels-memory",
    title: "Idle tunnels: memory in all, by tunnels",
    x: tunnels,
    y: { label: "MB", of: ({ memoryBytes }) => memoryBytes / 1e6, digits: 1 },
    points: idle,
  },
  {
    name: "growth-tunnels-memory-each",
    title: "Idle tunnels: memory for each, by tunnels",
    x: tunnels,
    y: { label: "KB per tunnel", of: ({ growthBytes }) => growthBytes / 1000, digits: 2 },
    // What a handful adds is less than what any program's memory changes by itself.
    points: idle.filter(({ x }) => x >= 100),
  },
  {
    name: "growth-bytes",
    title: "Connect, transfer, close: CPU per tunnel, by bytes",
    x: { label: "bytes that a tunnel carries, 8 tunnels at once", format: formatBytes },
    y: { label: "CPU µs per tunnel", of: readMicroseconds, digits: 0 },
    points: bytes.map((size) => ({ x: size, scenario: fetchAndClose(size, 8) })),
  },
  {
    name: "growth-messages",
    title: "Ping-pong: CPU per round trip, by size of the message",
    x: { label: "bytes of a message, 16 tunnels", format: formatBytes },
    y: { label: "CPU µs per round trip", of: readMicroseconds, digits: 1 },
    points: messages.map((size) => ({ x: size, scenario: playPingPong(size, 16) })),
  },
];

/** How cost grows with tunnels, with bytes and with the size of messages. */
export const growth: Suite = {
  name: "growth",
  scenarios: [...new Set(curves.flatMap(({ points }) => points.map(({ scenario }) => scenario)))],
  peers: [penstock, penstockRelay, haproxyTuned],
  quickScenarios: [moveBulk("down", 1), moveBulk("down", 10), moveBulk("down", 100)],
  quickPeers: [penstock, penstockRelay, haproxyTuned],
  writeSections: (all) => curves.flatMap((curve) => writeCurves(curve, all)),
  drawPlots: (all) => drawCurves(curves, all),
};

function readMicroseconds({ cpu }: { readonly cpu: number | undefined }): number | undefined {
  return cpu === undefined ? undefined : cpu * 1e6;
}
