import { type Read, readAccepted, refuse } from "./problem.ts";

const millisecondsPer: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** How durations, sizes, rates and bandwidths are written. `0` is a duration as well. */
const forms = {
  duration: /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)$/,
  size: /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(B|[KMGT]i?B)$/,
  rate: /^([0-9]{1,9})\/(s|m|h)$/,
  bandwidth: /^([0-9]{1,9}(?:\.[0-9]{1,3})?)(B|[KMG]i?B|[kMG]bit)\/s$/,
} as const;

/** The same for the JSON Schema: every text that can be read has the form, and few others. */
export const quantityPatterns = {
  duration: `^0$|${forms.duration.source}`,
  size: forms.size.source,
  rate: forms.rate.source,
  bandwidth: forms.bandwidth.source,
} as const;

/** Timers hold 31 bits of milliseconds; a longer one would fire at once. */
const MAX_DURATION_MS = 2 ** 31 - 1;

const bytesPer: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** Reads `500ms`, `10s`, `2m`, `1h`, `1.5h`, `1d`, or `0`. Gives milliseconds, at most 24 days. */
export function parseDuration(text: string): Read<number> {
  if (text === "0") return { ok: true, value: 0 };
  const match = forms.duration.exec(text);
  const factor = match?.[2] === undefined ? undefined : millisecondsPer[match[2]];
  if (!match || factor === undefined)
    return refuse('is not a duration. Write a number and a unit, such as "500ms", "10s", "2m" or "1h"');
  const value = Number(match[1]) * factor;
  if (value > MAX_DURATION_MS) return refuse('is too long. Write "24d" or less');
  return { ok: true, value: Math.round(value) };
}

/** Reads `512B`, `32KiB`, `20MB`. Gives whole bytes. */
export function parseSize(text: string): Read<number> {
  const match = forms.size.exec(text);
  const factor = match?.[2] === undefined ? undefined : bytesPer[match[2]];
  if (!match || factor === undefined)
    return refuse('is not a size. Write a number and a unit, such as "512B", "32KiB" or "20MB"');
  return { ok: true, value: Math.round(Number(match[1]) * factor) };
}

/** `10/m`: how often, with the span of time that it is counted over. */
export interface WrittenRate {
  readonly count: number;
  readonly spanMs: number;
}

/** Reads `500/s`, `20/m` or `1000/h`. */
export function parseRate(text: string): Read<WrittenRate> {
  const match = forms.rate.exec(text);
  const spanMs = match?.[2] === undefined ? undefined : millisecondsPer[match[2]];
  if (!match || spanMs === undefined)
    return refuse('is not a rate. Write a whole number and a span of time, such as "50/s", "20/m" or "1000/h"');
  return { ok: true, value: { count: Number(match[1]), spanMs } };
}

const bytesPerUnitOfRate: Readonly<Record<string, number>> = {
  ...bytesPer,
  kbit: 1000 / 8,
  Mbit: 1000 ** 2 / 8,
  Gbit: 1000 ** 3 / 8,
};

/** Reads `20MB/s`, `512KiB/s` or `100Mbit/s`. Gives bytes per second. */
export function parseBandwidth(text: string): Read<number> {
  const match = forms.bandwidth.exec(text);
  const factor = match?.[2] === undefined ? undefined : bytesPerUnitOfRate[match[2]];
  if (!match || factor === undefined)
    return refuse('is not a bandwidth. Write a size for each second, such as "512KiB/s", "20MB/s" or "100Mbit/s"');
  return { ok: true, value: Math.round(Number(match[1]) * factor) };
}

/** `32KiB`: as a size is written, in the largest unit that is whole. */
export function formatSize(bytes: number): string {
  const unit = (["TiB", "GiB", "MiB", "KiB"] as const).find((each) => bytes % (bytesPer[each] ?? 1) === 0) ?? "B";
  return `${bytes / (bytesPer[unit] ?? 1)}${unit}`;
}

/** `20MB`: in the largest decimal unit in which it has at most three decimals. */
export function formatDecimalSize(bytes: number): string {
  const unit = (["TB", "GB", "MB", "KB"] as const).find((each) => bytes >= (bytesPer[each] ?? 1)) ?? "B";
  return `${Number((bytes / (bytesPer[unit] ?? 1)).toFixed(3))}${unit}`;
}

/** Reads a duration that the schema has accepted. */
export function readDuration(text: string): number {
  return readAccepted(parseDuration(text));
}

/** Reads a size that the schema has accepted. */
export function readSize(text: string): number {
  return readAccepted(parseSize(text));
}

/** Reads a rate that the schema has accepted. */
export function readRate(text: string): WrittenRate {
  return readAccepted(parseRate(text));
}

/** Reads a bandwidth that the schema has accepted. */
export function readBandwidth(text: string): number {
  return readAccepted(parseBandwidth(text));
}
