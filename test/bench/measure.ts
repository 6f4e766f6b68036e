import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks per second in `/proc/PID/stat`: 100 on every Linux of today (`getconf CLK_TCK`). */
const ticksPerSecond = 100;

interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** Ticks of all its threads, and of children that are gone. */
  readonly userTicks: number;
  readonly systemTicks: number;
}

/** CPU seconds that a process, its threads and all its descendants have used. 0 for no process. */
export function readCpuSeconds(pid: number | undefined): number {
  const ticks = listTree(pid).reduce((sum, stat) => sum + stat.userTicks + stat.systemTicks, 0);
  return ticks / ticksPerSecond;
}

/** How many of `readCpuSeconds` were spent in the kernel. */
export function readKernelSeconds(pid: number | undefined): number {
  return listTree(pid).reduce((sum, stat) => sum + stat.systemTicks, 0) / ticksPerSecond;
}

/**
 * CPU seconds that the whole machine was busy, since it was started. Beside a
 * proxy's own they show what it pushes onto the account of its peers.
 */
export function readMachineSeconds(): number {
  const [line = ""] = readFileSync("/proc/stat", "latin1").split("\n", 1);
  const [, user = 0, nice = 0, system = 0, , , interrupts = 0, softInterrupts = 0] = line.split(/ +/).map(Number);
  return (user + nice + system + interrupts + softInterrupts) / ticksPerSecond;
}

/**
 * CPU seconds of the threads that a process has now, by the scheduler's clock:
 * exact where `readCpuSeconds` counts hundredths, for short turns of one process.
 */
export function readThreadSeconds(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ", 1)[0]);
    } catch {
      // It ended while the list was read.
    }
  }
  return nanoseconds / 1e9;
}

/**
 * Bytes of memory of a process and its descendants: of each its own pages and
 * its share of those that it has in common with others (`Pss`), so that a
 * server of many processes is not charged twice for one page.
 */
export function readMemoryBytes(pid: number | undefined): number {
  return sumRollup(pid, /^Pss:\s+(\d+) kB/gm);
}

/** Bytes of memory that a process and its descendants have written. The rest is mapped from files, as the executable is. */
export function readPrivateBytes(pid: number | undefined): number {
  return sumRollup(pid, /^Private_Dirty:\s+(\d+) kB/gm);
}

/** Adds up the lines of `/proc/PID/smaps_rollup` that match, over a process and its descendants. */
function sumRollup(pid: number | undefined, line: RegExp): number {
  let kilobytes = 0;
  for (const stat of listTree(pid)) {
    try {
      const text = readFileSync(`/proc/${stat.pid}/smaps_rollup`, "latin1");
      for (const [, amount] of text.matchAll(line)) kilobytes += Number(amount);
    } catch {
      // It ended while the list was read.
    }
  }
  return kilobytes * 1024;
}

/** The process and all that descend from it. */
export function listTree(pid: number | undefined): ProcessStat[] {
  if (pid === undefined) return [];
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(Number(name)))
    .filter((stat) => stat !== undefined);
  const members = new Set([pid]);
  for (let grown = true; grown;) {
    const before = members.size;
    for (const stat of all) if (members.has(stat.parent)) members.add(stat.pid);
    grown = members.size > before;
  }
  return all.filter((stat) => members.has(stat.pid));
}

function readStat(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is a name in parentheses that may contain anything; proc(5).
    const fields = text
      .slice(text.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [, parent = 0] = fields;
    const add = (own: number, ofChildren: number): number => (fields[own] ?? 0) + (fields[ofChildren] ?? 0);
    return { pid, parent, userTicks: add(11, 13), systemTicks: add(12, 14) };
  } catch {
    // It ended while the list was read.
    return undefined;
  }
}
