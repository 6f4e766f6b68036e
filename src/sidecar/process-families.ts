import { readdirSync, readFileSync } from "node:fs";
import { counter, type Family, gauge } from "./prometheus-text.ts";

/** Seconds since the epoch, computed once: a step of the clock must not look like a restart. */
const startedAt = Math.round(Date.now() - process.uptime() * 1000) / 1000;

/** The conventional metrics of a process, as far as the platform has them. */
export function collectProcessFamilies(): Family[] {
  const { user, system } = process.cpuUsage();
  return [
    counter("process_cpu_seconds_total", "User and system CPU time, of all threads.", (user + system) / 1e6),
    gauge("process_resident_memory_bytes", "Resident memory.", process.memoryUsage.rss()),
    gauge("process_start_time_seconds", "Start of the process since the epoch.", startedAt),
    ...optional("process_open_fds", "Open descriptors.", countDescriptors()),
    ...optional("process_max_fds", "Descriptors that the process may have open.", readDescriptorLimit()),
  ];
}

function optional(name: string, help: string, value: number | undefined): Family[] {
  return value === undefined ? [] : [gauge(name, help, value)];
}

/** Linux only. Reading the folder takes one descriptor itself. */
function countDescriptors(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return undefined;
  }
}

/** The soft limit, on Linux. */
function readDescriptorLimit(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
