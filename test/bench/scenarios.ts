import type { LoadOrder } from "./load/client.ts";

/** What is measured, and in which unit. */
export interface Scenario {
  readonly name: string;
  readonly kind: LoadOrder["kind"] | "get";
  /** At once; connections, for `get`. */
  readonly tunnels: number;
  /** Of a message, of what a tunnel carries (`fetch`), or of a body (`get`). */
  readonly messageBytes: number;
  /** Only so many tunnels of a fresh process are measured, without a warm-up. */
  readonly first?: number;
  /** Milliseconds of load before measuring, where it is not what fits most. */
  readonly warmUpMs?: number;
  /** Milliseconds that the proxy has to itself between its start and the load; none when absent. */
  readonly restMs?: number;
  /** What the figures are per: bytes are shown as GB. */
  readonly unit: "GB" | "round trip" | "tunnel" | "request" | "memory";
}

export function moveBulk(kind: "down" | "up" | "both", tunnels: number): Scenario {
  return { name: `bulk ${kind} ×${tunnels}`, kind, tunnels, messageBytes: 0, unit: "GB" };
}

/** Messages back and forth. */
export function playPingPong(messageBytes: number, tunnels: number): Scenario {
  const name = `ping-pong ${formatBytes(messageBytes)} ×${tunnels}`;
  return { name, kind: "echo", tunnels, messageBytes, unit: "round trip" };
}

/** Tunnel after tunnel, each for so many bytes from the origin. */
export function fetchAndClose(messageBytes: number, tunnels: number): Scenario {
  const name = `connect, ${formatBytes(messageBytes)} down, close ×${tunnels}`;
  return { name, kind: "fetch", tunnels, messageBytes, unit: "tunnel" };
}

/** The proxy has time for its warm-up first, whose memory belongs to no tunnel. */
export function stayIdle(tunnels: number): Scenario {
  return { name: `idle ×${tunnels}`, kind: "idle", tunnels, messageBytes: 0, restMs: 1500, unit: "memory" };
}

/** Absolute-form requests over connections that are kept. */
export function getKeptAlive(messageBytes: number, connections: number): Scenario {
  const name = `GET ${formatBytes(messageBytes)} keep-alive ×${connections}`;
  return { name, kind: "get", tunnels: connections, messageBytes, unit: "request" };
}

/** Bytes in the largest unit that they fill: of 1024. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${units[power] ?? ""}`;
}
