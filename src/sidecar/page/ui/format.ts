import { escapeText } from "../../../escape-text.ts";
import { formatBytes } from "../../../proxy/record/access-line.ts";

/** What is shown where nothing is known. */
export const NOTHING = "–";

/** Peers choose names, targets and SNI: characters that are invisible or turn text round are shown as escapes. */
export function show(text: string | undefined): string {
  return text === undefined || text === "" ? NOTHING : escapeText(text);
}

/** Bytes per second: `1.2 MB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`;
}

/** The number and the unit of a rate, which are set in different sizes. */
export function splitRate(bytesPerSecond: number): { readonly value: string; readonly unit: string } {
  const [value = "0", unit = "B"] = formatBytes(Math.round(bytesPerSecond)).split(" ");
  return { value, unit: `${unit}/s` };
}

/** `12,345`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** A rate of events: one decimal where there are few. */
export function formatPerSecond(count: number): string {
  return count < 10 ? (Math.round(count * 10) / 10).toString() : formatCount(count);
}

/** A time that somebody waits for: `0.4 ms`, `12 ms`, `1.2 s`. */
export function formatMs(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NOTHING;
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** An age in two units at most, of one width while seconds pass: `9 s`, `4 m 05 s`, `3 h 12 m`, `2 d 4 h`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes === 0) return `${seconds} s`;
  if (hours === 0) return `${minutes} m ${pad(seconds % 60)} s`;
  return hours < 24 ? `${hours} h ${pad(minutes % 60)} m` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** The time of day of a moment in milliseconds since the epoch, where the reader is. */
export function formatTime(at: number, withSeconds: boolean): string {
  const date = new Date(at);
  const short = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
  return withSeconds ? `${short}:${pad(date.getSeconds())}` : short;
}

/** `1 tunnel`, `2 tunnels`. */
export function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
