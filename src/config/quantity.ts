import { type Read, readAccepted, refuse } from "./problem.ts";

const millisecondsPer: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Timers hold 31 bits of milliseconds; a longer one would fire at once. */
const MAX_DURATION_MS = 2 ** 31 - 1;

const bytesPer: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/** Reads `500ms`, `10s`, `2m`, `1h`, `1.5h`, `1d`, or `0`. Gives milliseconds, at most 24 days. */
export function parseDuration(text: string): Read<number> {
  if (text === "0") return { ok: true, value: 0 };
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)$/.exec(text);
  const factor = match?.[2] === undefined ? undefined : millisecondsPer[match[2]];
  if (!match || factor === undefined)
    return refuse('is not a duration. Write a number and a unit, such as "500ms", "10s", "2m" or "1h"');
  const value = Number(match[1]) * factor;
  if (value > MAX_DURATION_MS) return refuse('is too long. Write "24d" or less');
  return { ok: true, value: Math.round(value) };
}

/** Reads `512B`, `32KiB`, `20MB`. Gives whole bytes. */
export function parseSize(text: string): Read<number> {
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(B|[KMG]i?B)$/.exec(text);
  const factor = match?.[2] === undefined ? undefined : bytesPer[match[2]];
  if (!match || factor === undefined)
    return refuse('is not a size. Write a number and a unit, such as "512B", "32KiB" or "20MB"');
  return { ok: true, value: Math.round(Number(match[1]) * factor) };
}

/** `32KiB`: as a size is written, in the largest unit that is whole. */
export function formatSize(bytes: number): string {
  const unit = (["GiB", "MiB", "KiB"] as const).find((each) => bytes % (bytesPer[each] ?? 1) === 0) ?? "B";
  return `${bytes / (bytesPer[unit] ?? 1)}${unit}`;
}

/** Reads a duration that the schema has accepted. */
export function readDuration(text: string): number {
  return readAccepted(parseDuration(text));
}

/** Reads a size that the schema has accepted. */
export function readSize(text: string): number {
  return readAccepted(parseSize(text));
}
