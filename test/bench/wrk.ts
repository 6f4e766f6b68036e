import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadResult } from "./load/client.ts";
import { findProgram } from "./peer.ts";

export interface WrkOrder {
  readonly proxyPort: number;
  readonly originPort: number;
  readonly connections: number;
  /** Of the body that is asked for. */
  readonly bytes: number;
  readonly seconds: number;
}

/** Puts absolute-form GET requests on a proxy with wrk, over connections that it keeps. */
export async function runWrk(order: WrkOrder): Promise<LoadResult> {
  const program = findProgram("wrk");
  if (program === undefined) throw new Error("wrk is not installed (Debian: apt-get install wrk).");
  const folder = await mkdtemp(join(tmpdir(), "penstock-wrk-"));
  try {
    const script = join(folder, "absolute.lua");
    const target = `http://127.0.0.1:${order.originPort}/${order.bytes}`;
    await Bun.write(
      script,
      `request = function() return "GET ${target} HTTP/1.1\\r\\nHost: 127.0.0.1:${order.originPort}\\r\\n\\r\\n" end\n`,
    );
    const child = Bun.spawn(
      [
        program,
        "-t1",
        `-c${order.connections}`,
        `-d${order.seconds}s`,
        "--latency",
        "-s",
        script,
        `http://127.0.0.1:${order.proxyPort}/`,
      ],
      { stdout: "pipe", stderr: "inherit" },
    );
    const text = await child.stdout.text();
    if ((await child.exited) !== 0) throw new Error(`wrk ended with ${child.exitCode}: ${text.slice(-300)}`);
    return parseWrk(text);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Reads wrk's report; what is not in it is 0. A read that finds the connection
 * closed is no failure of a request: wrk believed that the proxy would keep it.
 */
export function parseWrk(text: string): LoadResult & { readonly closed: number } {
  const [, requests = "0", duration = "0s"] = /(\d+) requests in (\S+),/.exec(text) ?? [];
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0");
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? [];
  const [connect = 0, read = 0, write = 0, timeout = 0] = errors.slice(1).map(Number);
  return {
    seconds: parseMilliseconds(duration) / 1000,
    units: Number(requests) - refused,
    p50: parseMilliseconds(/^\s+50%\s+(\S+)/m.exec(text)?.[1]),
    p99: parseMilliseconds(/^\s+99%\s+(\S+)/m.exec(text)?.[1]),
    failures: refused + connect + write + timeout,
    closed: read,
  };
}

/** wrk's durations end in "us", "ms", "s", "m" or "h". */
function parseMilliseconds(text = "0ms"): number {
  const [, digits = "0", unit = "ms"] = /^([\d.]+)(us|ms|s|m|h)$/.exec(text) ?? [];
  return Number(digits) * ({ us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? 1);
}
