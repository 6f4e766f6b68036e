import { expect, test } from "bun:test";
import { findExecutable } from "../support/build-executable.ts";
import { runProgram } from "../support/program.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import type { Measured } from "../bench/write-report.ts";

const main = new URL("../bench/main.ts", import.meta.url).pathname;

async function runBench(args: readonly string[], folder: string, seconds = 0.2) {
  const command = [process.execPath, main, "--rounds", "1", "--seconds", String(seconds), "--out", folder, ...args];
  return runProgram(command, { env: { BENCH_PENSTOCK: await findExecutable() } });
}

test.skipIf(process.platform !== "linux")(
  "the bench runs, and finds what it measures",
  async () => {
    await using folder = await makeFolder();
    const which = [
      "--only",
      "bulk down ×8",
      "--only",
      "connect, round trip, close ×16",
      "--peers",
      "direct",
      "--peers",
      "penstock",
    ];
    const ran = await runBench([...which, "--quick"], folder.path);
    expect(ran.code, ran.stderr).toBe(0);
    const { series, missing } = JSON.parse(await folder.read("bench.json")) as Measured;
    expect(missing).toEqual([]);
    expect(series.map(({ scenario, peer }) => `${scenario.name}, ${peer}`)).toEqual([
      "bulk down ×8, direct",
      "bulk down ×8, penstock",
      "connect, round trip, close ×16, direct",
      "connect, round trip, close ×16, penstock",
    ]);
    for (const { runs, troubles } of series) {
      expect(troubles).toEqual([]);
      expect(runs).toHaveLength(1);
      expect(runs[0]).toMatchObject({ failures: 0 });
      expect(runs[0]?.units).toBeGreaterThan(0);
    }
    expect(await folder.read("bench.md")).toBe(ran.stdout);
    expect(ran.stdout).toContain("### connect, round trip, close ×16\n");
  },
  300_000,
);

test.skipIf(process.platform !== "linux")(
  "the bench draws how cost grows, and again from its file",
  async () => {
    await using folder = await makeFolder();
    const which = ["--growth", "--only", "connect, 1 KB", "--only", "ping-pong 64 KB", "--peers", "penstock"];
    const measure = async (seconds: number) => {
      const ran = await runBench(which, folder.path, seconds);
      expect(ran.code, ran.stderr).toBe(0);
      return { ran, ...(JSON.parse(await folder.read("growth.json")) as Measured) };
    };
    // The system counts CPU time in hundredths of a second, and a busy machine may give less than one.
    let seconds = 0.2;
    let { ran, series } = await measure(seconds);
    while (series.some(({ runs }) => runs.some(({ cpuSeconds }) => cpuSeconds === 0)))
      ({ ran, series } = await measure((seconds *= 2)));
    expect(series.map(({ runs, troubles }) => [runs.length, runs[0]?.failures, troubles])).toEqual([
      [1, 0, []],
      [1, 0, []],
    ]);
    const plot = await folder.read("growth-messages.svg");
    expect(plot).toContain("<title>penstock</title>");

    const again = await runBench(["--growth", "--from", `${folder.path}/growth.json`], `${folder.path}/again`);
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).toBe(ran.stdout);
    expect(await folder.read("again/growth-messages.svg")).toBe(plot);
  },
  300_000,
);
