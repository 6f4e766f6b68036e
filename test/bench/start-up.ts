/**
 * Milliseconds from the start of an executable to the first CONNECT that it answers.
 * `bun test/bench/start-up.ts [--starts N] EXECUTABLE...`: 20 starts of each, in turns.
 */
import { connect } from "node:net";
import { basename } from "node:path";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const PORT = 20_000 + (process.pid % 10_000);
const PATIENCE_MS = 60_000;

const args = process.argv.slice(2);
const starts = args[0] === "--starts" ? Number(args[1]) : 20;
const executables = args[0] === "--starts" ? args.slice(2) : args;
if (executables.length === 0 || !Number.isSafeInteger(starts) || starts < 1) {
  process.stderr.write("Usage: bun test/bench/start-up.ts [--starts N] EXECUTABLE...\n");
  process.exit(2);
}

/** Asks once for a tunnel; false when nobody listens yet. */
function ask(target: string): Promise<boolean> {
  return new Promise((settle, fail) => {
    const socket = connect(PORT, "127.0.0.1", () =>
      socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`),
    );
    socket.once("data", (answer: Buffer) => {
      socket.destroy();
      if (answer.toString("latin1").startsWith("HTTP/1.1 200 ")) settle(true);
      else fail(new Error(answer.toString("latin1")));
    });
    socket.once("error", () => settle(false));
  });
}

interface Start {
  readonly ms: number;
  /** Of all threads, until the answer. */
  readonly cpuMs: number;
}

async function measureStart(executable: string, folder: string, target: string): Promise<Start> {
  const began = performance.now();
  const proxy = Bun.spawn([executable, "serve", "--config", `${folder}/proxy.config.json`], {
    stdout: "ignore",
    stderr: "ignore",
  });
  let ms: number | undefined;
  try {
    while (!(await ask(target))) {
      if (performance.now() - began > PATIENCE_MS || proxy.exitCode !== null)
        throw new Error(`${executable} does not listen`);
      await Bun.sleep(1);
    }
    ms = performance.now() - began;
  } finally {
    proxy.kill("SIGKILL");
    await proxy.exited;
  }
  return { ms, cpuMs: Number(proxy.resourceUsage()?.cpuTime.total ?? 0) / 1000 };
}

await using folder = await makeFolder({
  "proxy.config.json": { listen: [`127.0.0.1:${PORT}`], rules: [{ to: ["127.0.0.1"], allowPrivate: true }] },
});
using echo = listenEcho();
const times = executables.map((): Start[] => []);
// The first start of each reads the file from the disk, and does not count.
for (let turn = 0; turn <= starts; turn += 1) {
  for (const [at, executable] of executables.entries()) {
    const start = await measureStart(executable, folder.path, `127.0.0.1:${echo.port}`);
    if (turn > 0) times[at]?.push(start);
  }
}
process.stdout.write(
  "| executable | MB | median, ms | fastest | slowest | CPU, median, ms |\n|---|--:|--:|--:|--:|--:|\n",
);
for (const [at, executable] of executables.entries()) {
  const all = times[at] ?? [];
  const [ms, cpu] = [all.map((start) => start.ms), all.map((start) => start.cpuMs)];
  const figures = [pick(ms, 0.5), pick(ms, 0), pick(ms, 1), pick(cpu, 0.5)].map((figure) => figure.toFixed(0));
  const megabytes = (Bun.file(executable).size / 1e6).toFixed(1);
  process.stdout.write(`| ${[basename(executable), megabytes, ...figures].join(" | ")} |\n`);
}

/** 0 is the smallest, 0.5 the median. */
function pick(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? Number.NaN;
}
