import type { LoadOrder } from "./load/client.ts";

/** What is measured, and in which unit. */
export interface Scenario {
  readonly name: string;
  readonly kind: LoadOrder["kind"] | "get";
  readonly tunnels: number;
  readonly messageBytes: number;
  /** What the figures are per: bytes are shown as GB. */
  readonly unit: "GB" | "round trip" | "tunnel" | "request" | "memory";
}

const bulk = (["down", "up", "both"] as const).flatMap((kind) =>
  [1, 8, 64].map((tunnels): Scenario => ({
    name: `bulk ${kind} ×${tunnels}`,
    kind,
    tunnels,
    messageBytes: 0,
    unit: "GB",
  })),
);

/** All of them, in the order of the report. */
export const scenarios: readonly Scenario[] = [
  ...bulk,
  { name: "ping-pong 64 B ×16", kind: "echo", tunnels: 16, messageBytes: 64, unit: "round trip" },
  { name: "ping-pong 4 KB ×16", kind: "echo", tunnels: 16, messageBytes: 4096, unit: "round trip" },
  { name: "connect, round trip, close ×16", kind: "setup", tunnels: 16, messageBytes: 64, unit: "tunnel" },
  { name: "GET 1 KB keep-alive ×32", kind: "get", tunnels: 32, messageBytes: 1024, unit: "request" },
  { name: "idle ×1000", kind: "idle", tunnels: 1000, messageBytes: 0, unit: "memory" },
  { name: "idle ×4000", kind: "idle", tunnels: 4000, messageBytes: 0, unit: "memory" },
  { name: "slow reader ×8", kind: "slow", tunnels: 8, messageBytes: 0, unit: "memory" },
];

/** Those that answer the main questions in under a minute. */
export const quickScenarios: readonly string[] = [
  "bulk down ×8",
  "ping-pong 64 B ×16",
  "connect, round trip, close ×16",
  "idle ×1000",
];
