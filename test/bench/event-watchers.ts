/**
 * What watchers of `/events` cost the data path.
 * `bun test/bench/event-watchers.ts [EXECUTABLE] [ROUNDS] [SECONDS] [TUNNELS]`: 5 rounds of 5 seconds, 16 tunnels at once.
 *
 * Tunnels open and close as fast as the machine allows, without watchers and with
 * ten of them in turn, two of which never read. The CPU of the proxy is its own
 * account in /proc, per tunnel; of all threads, and of the thread that moves bytes.
 */
import { connect, type Socket } from "node:net";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLoadClient, startLoadOrigin } from "../support/load-processes.ts";
import { startProgram } from "../support/program.ts";
import { machineLine } from "./machine.ts";

const WATCHERS = 10;
const STUCK = 2;
const TICK_MS = 10;
const TOKEN = "bench-token";

const [executable, rounds = "5", seconds = "5", tunnels = "16"] = process.argv.slice(2);
const folder = join(tmpdir(), `event-watchers-${process.pid}`);
await Bun.write(
  join(folder, "proxy.config.json"),
  JSON.stringify({
    listen: ["127.0.0.1:0"],
    rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
    sidecar: { port: 0, token: TOKEN },
    log: { file: "access.log" },
  }),
);
const command =
  executable === undefined ? [process.execPath, join(import.meta.dir, "../../src/main.ts")] : [executable];
await using origin = await startLoadOrigin();
await using proxy = startProgram([...command, "serve"], { cwd: folder });

interface Run {
  readonly perSecond: number;
  /** Microseconds of CPU per tunnel: of all threads, and of the main one. */
  readonly all: number;
  readonly main: number;
  readonly rss: number;
}

/** A client of `/events` on a socket of its own. */
class WatcherClient {
  received = 0;
  lost = 0;
  readonly #socket: Socket;
  #rest = "";

  constructor(port: number, reads: boolean) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
    this.#socket.on("error", () => {});
    if (!reads) this.#socket.pause();
    else this.#socket.on("data", (chunk: Buffer) => this.#count(chunk.toString("latin1")));
  }

  end(): void {
    this.#socket.destroy();
  }

  #count(chunk: string): void {
    const text = this.#rest + chunk;
    this.received += text.split("\nevent: tunnel_").length - 1;
    for (const [, count] of text.matchAll(/"event":"lost","count":(\d+),"why":"\w+"}\n/g)) this.lost += Number(count);
    this.#rest = text.slice(text.lastIndexOf("\n\n") + 1);
  }
}

try {
  const port = readPort(await proxy.untilTold("Listening on "));
  const sidecar = readPort(await proxy.untilTold("Sidecar on "));
  await proxy.untilTold("Splicing");
  await measure(port, Number(seconds) * 1000);
  const without: Run[] = [];
  const withThem: Run[] = [];
  let [events, lost, happened] = [0, 0, 0];
  for (let round = 0; round < Number(rounds); round++) {
    // Whichever is second finds another machine.
    for (const watched of round % 2 === 0 ? [false, true] : [true, false]) {
      const watchers = Array.from(
        { length: watched ? WATCHERS : 0 },
        (_, at) => new WatcherClient(sidecar, at >= STUCK),
      );
      await Bun.sleep(500);
      const before = await countTunnels(sidecar);
      // The burst that is told whole is over then.
      await measure(port, Number(seconds) * 1000);
      const run = await measure(port, Number(seconds) * 1000);
      (watched ? withThem : without).push(run);
      await Bun.sleep(1500);
      if (watched) happened += 2 * ((await countTunnels(sidecar)) - before);
      events += watchers.at(-1)?.received ?? 0;
      lost += watchers.at(-1)?.lost ?? 0;
      for (const watcher of watchers) watcher.end();
      await Bun.sleep(200);
      if (watched) process.stderr.write(`round ${round}: ${run.perSecond.toFixed(0)} tunnels/s\n`);
    }
  }
  const row = (name: string, runs: readonly Run[]) =>
    `| ${name} | ${median(runs.map(({ perSecond }) => perSecond)).toFixed(0)} | ${median(runs.map(({ all }) => all)).toFixed(1)} | ${median(runs.map(({ main }) => main)).toFixed(1)} | ${Math.max(...runs.map(({ rss }) => rss)).toFixed(0)} |`;
  const change = (read: (run: Run) => number) =>
    `${((median(withThem.map(read)) / median(without.map(read)) - 1) * 100).toFixed(1)} %`;
  process.stdout.write(
    [
      machineLine(),
      "",
      `| watchers | tunnels/s | CPU µs per tunnel, all threads | main thread | RSS at most, MB |`,
      "|---|--:|--:|--:|--:|",
      row("none", without),
      row(`${WATCHERS}, ${STUCK} of them stuck`, withThem),
      "",
      `More CPU with watchers: ${change(({ all }) => all)} (all threads), ${change(({ main }) => main)} (main thread).`,
      `A watcher that reads got ${events} events and was told of ${lost} others, of ${happened} that happened.`,
      "",
    ].join("\n"),
  );
} finally {
  proxy.signal("SIGKILL");
  await proxy.exited;
  await rm(folder, { recursive: true });
}

async function measure(port: number, ms: number): Promise<Run> {
  await using client = await startLoadClient({
    port,
    originPort: origin.port,
    kind: "setup",
    tunnels: Number(tunnels),
    messageBytes: 64,
    ms,
  });
  const before = await readCpu();
  const result = await client.finish();
  const after = await readCpu();
  return {
    perSecond: result.units / result.seconds,
    all: ((after.all - before.all) * 1000) / result.units,
    main: ((after.main - before.main) * 1000) / result.units,
    rss: after.rss,
  };
}

/** Tunnels that are over. */
async function countTunnels(sidecar: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${sidecar}/metrics`, { headers: { Authorization: `Bearer ${TOKEN}` } });
  const values = [...(await answer.text()).matchAll(/^penstock_tunnels_total\{[^}]*\} (\d+)/gm)];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

/** Milliseconds of CPU of the proxy, and its memory in MB. */
async function readCpu(): Promise<{ all: number; main: number; rss: number }> {
  const [all, main, status] = await Promise.all(
    ["stat", `task/${proxy.pid}/stat`, "status"].map((name) => readFile(`/proc/${proxy.pid}/${name}`, "latin1")),
  );
  return { all: sumTicks(all), main: sumTicks(main), rss: Number(/^VmRSS:\s+(\d+)/m.exec(status ?? "")?.[1]) / 1024 };
}

function sumTicks(stat = ""): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function readPort(line: string): number {
  return Number(/:(\d+)\.$/.exec(line)?.[1]);
}
