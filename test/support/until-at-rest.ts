import { waitFor } from "./wait-for.ts";

/** The share of a core that something at rest may use. */
const REST_SHARE = 0.3;

/**
 * Waits until hardly any CPU time is used: a loop that spins takes a whole core,
 * as long as it gets one. `readCpuMs` gives the milliseconds of CPU used so far;
 * those of this process when absent.
 */
export async function untilAtRest(readCpuMs: () => number | Promise<number> = readOwnCpuMs): Promise<void> {
  await waitFor(async () => {
    const [before, since] = [await readCpuMs(), performance.now()];
    await Bun.sleep(150);
    return ((await readCpuMs()) - before) / (performance.now() - since) < REST_SHARE;
  }, "less use of the CPU");
}

function readOwnCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
