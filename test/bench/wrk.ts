import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadResult } from "./load/client.ts";
import { findProgram } from "./peer.ts";

export interface WrkOrder {
  readonly proxyPort: number;
  readonly originPort: number;
  readonly connections: number;
  readonly seconds: number;
}

/** Puts absolute-form GET requests on a proxy with wrk, over connections that it keeps. */
export async function runWrk(order: WrkOrder): Promise<LoadResult> {
  const program = findProgram("wrk");
  if (program === undefined) throw new Error("wrk is not installed (Debian: apt-get install wrk).");
  const folder = await mkdtemp(join(tmpdir(), "penstock-wrk-"));
  try {
    const script = join(folder, "absolute.lua");
    const target = `http://127.0.0.1:${order.originPort}/`;
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
    return parseWrk(await child.stdout.text());
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Reads wrk's report; what is not in it is 0. */
export function parseWrk(text: string): LoadResult {
  const [, requests = "0", seconds = "0"] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? [];
  const failed = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0";
  const broken = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  return {
    seconds: Number(seconds),
    units: Number(requests),
    p50: parseMilliseconds(/50%\s+(\S+)/.exec(text)?.[1]),
    p99: parseMilliseconds(/99%\s+(\S+)/.exec(text)?.[1]),
    failures: Number(failed) + broken.reduce((sum, count) => sum + Number(count), 0),
  };
}

function parseMilliseconds(text = "0ms"): number {
  const value = Number.parseFloat(text);
  if (text.endsWith("us")) return value / 1000;
  return text.endsWith("ms") ? value : value * 1000;
}
