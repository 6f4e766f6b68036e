import { ActiveClient, askHastily, type HastyReport } from "./active-clients.ts";
import type { FloodReport } from "./address-flood.ts";
import { startExecutable } from "./executable.ts";
import type { FloodMessage, FloodOrder } from "./flood-worker.ts";
import { listenEcho } from "./raw-peer.ts";
import { makeFolder } from "./temporary-folder.ts";

/** One look at the proxy while the flood runs. */
export interface FloodSample {
  readonly seconds: number;
  /** Addresses that have come. */
  readonly done: number;
  readonly rssBytes: number;
}

/** What became of a proxy, and of clients that were there before the flood. */
export interface FloodOutcome {
  readonly flood: FloodReport;
  readonly seconds: number;
  readonly samples: readonly FloodSample[];
  /** CPU time of the proxy for each address, in microseconds; what the active clients cost included. */
  readonly cpuMicroseconds: number;
  /** Milliseconds of round trips of the active client: before the flood, and while it ran. */
  readonly roundTrips: { readonly before: readonly number[]; readonly during: readonly number[] };
  /** Answers to connections of the active client beyond its limit, by status. */
  readonly beyondLimit: ReadonlyMap<number, number>;
  /** Clients that ask for more than their rate allows: one all the time, one every 30 s. */
  readonly hasty: HastyReport;
  readonly seldom: HastyReport;
  /** Bytes each way that the active client has moved, and that the proxy has counted for it. */
  readonly use: { readonly moved: number; readonly counted: number };
  /** Entries that the proxy keeps, by table. */
  readonly entries: Readonly<Record<string, number>>;
}

/** What one client may have, in the proxy under flood. */
export const FLOOD_LIMITS = { connections: 5, ratePerMinute: 12 } as const;

const ACTIVE = "203.0.113.7";
const HASTY = "203.0.113.8";
const SELDOM = "203.0.113.9";

/** Floods the executable with connections from so many client addresses, beside clients that use it. */
export async function runFlood(
  addresses: number,
  sampled: (sample: FloodSample) => void = () => {},
  { inFlight = 64, quietMs = 1000, mostSeconds = 240 } = {},
): Promise<FloodOutcome> {
  const { connections, ratePerMinute } = FLOOD_LIMITS;
  await using folder = await makeFolder({
    "proxy.config.json": {
      open: true,
      listen: [{ port: 0, proxyProtocol: ["127.0.0.0/8"] }],
      rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
      log: { access: "off" },
      limits: { perClient: { connections, rate: `${ratePerMinute}/m`, bandwidth: "10MB/s" } },
      sidecar: { port: 0, token: "t0ken" },
    },
  });
  using echo = listenEcho();
  await using proxy = await startExecutable({ cwd: folder.path });
  const { port } = proxy;
  const target = `127.0.0.1:${echo.port}`;
  const sidecar = await proxy.sidecarUrl();
  const ask = (path: string): Promise<Response> =>
    fetch(`${sidecar}${path}`, { headers: { Authorization: "Bearer t0ken" } });
  using client = await ActiveClient.open(port, ACTIVE, target, connections);
  const quietUntil = performance.now() + quietMs;
  while (performance.now() < quietUntil) await client.useTunnel();
  const before = client.roundTrips.splice(0);

  const [begun, cpuBefore] = [performance.now(), await proxy.readCpuMs()];
  let [done, isOver] = [0, false];
  const flooded = Promise.withResolvers<FloodReport>();
  const worker = new Worker(new URL("flood-worker.ts", import.meta.url).href);
  worker.addEventListener("message", ({ data }: MessageEvent<FloodMessage>) => {
    if (data.kind === "progress") ({ done } = data);
    else flooded.resolve(data.report);
  });
  worker.addEventListener("error", ({ message }) => flooded.reject(new Error(message)));
  worker.postMessage({ port, addresses, inFlight, seconds: mostSeconds } satisfies FloodOrder);
  const over = flooded.promise.finally(() => {
    isOver = true;
  });

  const samples: FloodSample[] = [];
  const beyondLimit = new Map<number, number>();
  const work = async (everyMs: number, act: () => Promise<void>): Promise<void> => {
    while (!isOver) {
      await act();
      await Bun.sleep(everyMs);
    }
  };
  const [hasty, seldom] = await Promise.all([
    askHastily(port, HASTY, target, 100, () => isOver),
    askHastily(port, SELDOM, target, 30_000, () => isOver),
    work(20, () => client.useTunnel()),
    work(250, async () => {
      const status = await client.tryAnother();
      beyondLimit.set(status, (beyondLimit.get(status) ?? 0) + 1);
    }),
    work(1000, async () => {
      const sample = { seconds: (performance.now() - begun) / 1000, done, rssBytes: await proxy.readRss() };
      samples.push(sample);
      sampled(sample);
    }),
    over,
  ]);
  const flood = await over;
  worker.terminate();
  const seconds = (performance.now() - begun) / 1000;
  const visits = flood.unanswered + flood.answers.values().reduce((sum, count) => sum + count, 0);
  const cpuMicroseconds = (((await proxy.readCpuMs()) - cpuBefore) * 1000) / visits;
  const usage = (await (await ask("/usage?by=client&top=10000")).json()) as {
    readonly usage: readonly { readonly client: string; readonly today: { readonly up: number } }[];
  };
  const metrics = await (await ask("/metrics")).text();
  const entries = Object.fromEntries(
    Array.from(metrics.matchAll(/^penstock_usage_entries\{by="(\w+)"\} (\d+)$/gm), ([, by = "", count]) => [
      by,
      Number(count),
    ]),
  );
  samples.push({ seconds, done: visits, rssBytes: await proxy.readRss() });
  return {
    flood,
    seconds,
    samples,
    cpuMicroseconds,
    roundTrips: { before, during: client.roundTrips },
    beyondLimit,
    hasty,
    seldom,
    use: { moved: client.sent, counted: usage.usage.find((row) => row.client === ACTIVE)?.today.up ?? 0 },
    entries,
  };
}
