/**
 * Limits on bandwidth: how exact they are, what they cost, and how fair they are.
 *
 *     bun test/bench/bandwidth.ts [--rate 20MB/s] [--seconds 10] [--warm 10] [--only TEXT]
 *
 * Bytes are counted where they arrive: at the clients on the way down, at the
 * origin on the way up, also those that wait in their sockets to be read. CPU is that of the proxy for each gigabyte (user and system
 * time of the process), under the limit and without one, less what the same
 * process used for as long without any stream. `--warm` are the seconds of traffic
 * before: the runtime compiles meanwhile, which a process does once.
 * `BENCH_PENSTOCK` names another executable than the last build.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseBandwidth } from "../../src/config/quantity.ts";
import { makeCertificate } from "../support/certificate.ts";
import { openStreams, startStreamOrigin, type Streams } from "./load/streams.ts";
import { readCpuSeconds } from "./measure.ts";
import { findFreePort, type RunningPeer, startProcess } from "./peer.ts";
import { takeMedian } from "./report.ts";

const { values } = parseArgs({
  options: {
    rate: { type: "string", default: "20MB/s" },
    seconds: { type: "string", default: "10" },
    warm: { type: "string", default: "10" },
    only: { type: "string", default: "" },
  },
});
const rate = parseBandwidth(values.rate);
if (!rate.ok) throw new Error(`--rate ${values.rate} ${rate.reason}`);
const bytesPerSecond = rate.value;
const ms = Number(values.seconds) * 1000;
const warmMs = Number(values.warm) * 1000;
/** Milliseconds after which a process that was started has finished its warm-up, and is idle. */
const START_MS = 3000;
/** Seconds after which what is measured counts, whatever has piled up. */
const SETTLE_SECONDS = 30;
const executable = process.env["BENCH_PENSTOCK"] ?? new URL("../../dist/penstock", import.meta.url).pathname;
const certificate = await makeCertificate();

interface Case {
  readonly name: string;
  readonly settings: object;
  readonly tls: boolean;
}
const cases: readonly Case[] = [
  { name: "lanes", settings: {}, tls: false },
  { name: "relay", settings: { splice: "off" }, tls: false },
  { name: "TLS", settings: {}, tls: true },
];

function startProxy(settings: object, tls: boolean): Promise<RunningPeer> {
  const port = findFreePort();
  const configuration = {
    listen: [{ host: "127.0.0.1", port, ...(tls && { tls: { cert: "./cert.pem", key: "./key.pem" } }) }],
    rules: [{ name: "bench", to: ["127.0.0.0/8"], allowPrivate: true }],
    log: { access: "off" },
    ...settings,
  };
  return startProcess({
    port,
    files: () => ({
      "penstock.json": JSON.stringify(configuration),
      "cert.pem": certificate.cert,
      "key.pem": certificate.key,
    }),
    command: (folder) => [executable, "serve", "--config", `${folder}/penstock.json`],
  });
}

/** One proxy, the streams through it, and what it has moved and used in `ms`. */
async function measure(
  { settings, tls }: Case,
  limits: object,
  wanted: { readonly direction: "up" | "down"; readonly streams: number },
  forMs: number,
) {
  const origin = startStreamOrigin();
  await using running = await startProxy({ ...settings, limits: { connections: 20_000, ...limits } }, tls);
  await Bun.sleep(START_MS);
  const idle = await measureCpu(running, ms);
  const streams = await openStreams({ ...wanted, tls, port: running.port, origin });
  // To fill the buffers of so many sockets takes this process seconds, in which it reads nothing.
  await Bun.sleep(1000 + wanted.streams * 10 + warmMs);
  if ("bandwidth" in limits) await settle(streams);
  const countUnread = () =>
    wanted.direction === "down" ? sumUnread("remote", running.port) : sumUnread("local", origin.port);
  const [before, unread] = [streams.bytes(), countUnread()];
  const { cpu, seconds } = await measureCpu(running, forMs);
  const moved = subtract(streams.bytes(), before);
  const total = moved.reduce((sum, bytes) => sum + bytes, countUnread() - unread);
  const net = cpu - (idle.cpu * seconds) / idle.seconds;
  const newcomer = await measureNewcomer(streams, wanted.streams);
  streams.end();
  origin.stop();
  return { perSecond: total / seconds, cpuPerGb: (net * 1e9) / total, moved, seconds, newcomer };
}

/** Waits until the clients have read what has piled up in their sockets meanwhile: it would count as moved now. */
async function settle(streams: Streams): Promise<void> {
  for (let seconds = 0; seconds < SETTLE_SECONDS; seconds += 1) {
    const [before, since] = [streams.bytes(), performance.now()];
    await Bun.sleep(1000);
    const total = subtract(streams.bytes(), before).reduce((sum, bytes) => sum + bytes, 0);
    if ((total * 1000) / (performance.now() - since) < bytesPerSecond * 1.2) return;
  }
}

/** Bytes that wait to be read in all connections with a port at one end: the receive queues of proc_net(5). */
function sumUnread(side: "local" | "remote", port: number): number {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  let sum = 0;
  for (const line of readFileSync("/proc/net/tcp", "latin1").split("\n").slice(1, -1)) {
    const [, local = "", remote = "", , queues = ""] = line.trim().split(/\s+/);
    if ((side === "local" ? local : remote).endsWith(wanted)) sum += Number.parseInt(queues.split(":")[1] ?? "0", 16);
  }
  return sum;
}

/** CPU seconds that a proxy uses in `forMs`, and the seconds that it really took. */
async function measureCpu({ pid }: RunningPeer, forMs: number): Promise<{ cpu: number; seconds: number }> {
  const [before, since] = [readCpuSeconds(pid), performance.now()];
  await Bun.sleep(forMs);
  return { cpu: readCpuSeconds(pid) - before, seconds: (performance.now() - since) / 1000 };
}

/** What a new stream gets in its first second, as a part of its share. */
async function measureNewcomer(streams: Streams, others: number): Promise<number> {
  const before = streams.bytes();
  await streams.open();
  await Bun.sleep(1000);
  const moved = subtract(streams.bytes(), before);
  const total = moved.reduce((sum, bytes) => sum + bytes, 0);
  return ((moved.at(-1) ?? 0) * (others + 1)) / total;
}

function subtract(now: readonly number[], before: readonly number[]): number[] {
  return now.map((bytes, index) => bytes - (before[index] ?? 0));
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
say(
  `| way | direction | streams | rate | of the limit | least, median, most of a stream | newcomer | CPU s/GB | without limit | ratio |`,
);
say(`| --- | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |`);
for (const each of cases)
  for (const direction of ["down", "up"] as const)
    for (const streams of [1, 8, 500]) {
      if (!`${each.name} ${direction} ${streams}`.includes(values.only)) continue;
      const limited = await measure(each, { bandwidth: values.rate }, { direction, streams }, ms);
      const free = await measure(each, {}, { direction, streams }, Math.min(ms, 4000));
      const share = limited.perSecond / streams;
      const parts = limited.moved.map((bytes) => bytes / limited.seconds / share).toSorted((a, b) => a - b);
      const spread = [parts[0] ?? 0, takeMedian(parts), parts.at(-1) ?? 0].map((part) => part.toFixed(2)).join(", ");
      say(
        `| ${each.name} | ${direction} | ${streams} | ${(limited.perSecond / 1e6).toFixed(2)} MB/s | ${((limited.perSecond / bytesPerSecond) * 100).toFixed(1)} % | ${spread} | ${limited.newcomer.toFixed(2)} | ${limited.cpuPerGb.toFixed(2)} | ${free.cpuPerGb.toFixed(2)} | ${(limited.cpuPerGb / free.cpuPerGb).toFixed(2)} |`,
      );
    }
