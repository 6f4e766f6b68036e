import { isDeepStrictEqual } from "node:util";

import { isStep, runAtOnce, type Steps } from "../steps.ts";
import { isRecord } from "./plain-data.ts";
import { formatPath } from "./problem.ts";

/** Values of one list that a line names. */
const MAX_NAMED = 10;
/** Characters of a value that a line shows. */
const MAX_SHOWN = 120;

/**
 * Says what differs between two configurations for people (redacted, plain JSON):
 * one line for each setting, such as `timeouts.idle: "10m" → "5m"` and
 * `rules[3].to: +"*.example.org"`. Lists of single values are compared as sets;
 * lists of maps by their names, or else by their position after what both have in
 * common. Takes time in proportion to their size.
 */
export function diffConfigs(before: unknown, after: unknown): string[] {
  return runAtOnce(diffConfigsInSteps(before, after));
}

/** `diffConfigs`, in steps. */
export function* diffConfigsInSteps(before: unknown, after: unknown): Steps<string[]> {
  const lines: string[] = [];
  yield* compare(before, after, [], lines);
  return lines;
}

type Path = readonly PropertyKey[];

function* compare(before: unknown, after: unknown, path: Path, lines: string[]): Steps<void> {
  yield;
  if (before === after) return;
  if (Array.isArray(before) && Array.isArray(after)) {
    if (yield* isSameList(before, after)) return;
    if (before.some(isRecord) || after.some(isRecord)) yield* compareMaps(before, after, path, lines);
    else yield* compareValues(before, after, path, lines);
  } else if (isRecord(before) && isRecord(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      yield* compare(before[key], after[key], [...path, key], lines);
  } else if (!isDeepStrictEqual(before, after)) {
    lines.push(`${formatPath(path)}: ${describeChange(before, after)}`);
  }
}

function* isSameList(before: readonly unknown[], after: readonly unknown[]): Steps<boolean> {
  if (before.length !== after.length) return false;
  for (const [at, value] of before.entries()) {
    if (isStep(at)) yield;
    if (value !== after[at] && !isDeepStrictEqual(value, after[at])) return false;
  }
  return true;
}

function describeChange(before: unknown, after: unknown): string {
  if (before === undefined) return `+${show(after)}`;
  if (after === undefined) return `-${show(before)}`;
  return `${show(before)} → ${show(after)}`;
}

function* compareValues(
  before: readonly unknown[],
  after: readonly unknown[],
  path: Path,
  lines: string[],
): Steps<void> {
  const left = new Map<string, number>();
  for (const [at, value] of before.entries()) {
    if (isStep(at)) yield;
    const key = JSON.stringify(value);
    left.set(key, (left.get(key) ?? 0) + 1);
  }
  const added: string[] = [];
  for (const [at, value] of after.entries()) {
    if (isStep(at)) yield;
    const key = JSON.stringify(value);
    const count = left.get(key) ?? 0;
    if (count > 0) left.set(key, count - 1);
    else added.push(`+${show(value)}`);
  }
  yield;
  const removed = [...left].flatMap(([key, count]) => Array.from({ length: count }, () => `-${cutShown(key)}`));
  const all = [...added, ...removed];
  const rest = all.length - MAX_NAMED;
  const named = all.slice(0, MAX_NAMED).join(", ");
  const text = all.length === 0 ? "other order" : rest > 0 ? `${named} and ${rest} more` : named;
  lines.push(`${formatPath(path)}: ${text}`);
}

function* compareMaps(before: readonly unknown[], after: readonly unknown[], path: Path, lines: string[]): Steps<void> {
  const pairs = (yield* pairByName(before, after)) ?? (yield* pairByPosition(before, after));
  for (const [old, now] of pairs) {
    const at = [...path, now ?? old ?? 0];
    // What is gone is named by the position that it had.
    yield* compare(old === undefined ? undefined : before[old], now === undefined ? undefined : after[now], at, lines);
  }
  const order = pairs.flatMap(([old, now]) => (old === undefined || now === undefined ? [] : [old]));
  if (order.some((old, at) => at > 0 && old < (order[at - 1] ?? 0))) lines.push(`${formatPath(path)}: other order`);
}

/** The position before, and after; undefined where there is none. */
type Pair = readonly [number | undefined, number | undefined];

/** Pairs maps of the same name; undefined when some have none, or two have the same. */
function* pairByName(before: readonly unknown[], after: readonly unknown[]): Steps<Pair[] | undefined> {
  const [old, now] = [yield* indexNames(before), yield* indexNames(after)];
  if (old === undefined || now === undefined) return undefined;
  yield;
  const gone = [...old].filter(([name]) => !now.has(name)).map(([, at]): Pair => [at, undefined]);
  return [...[...now].map(([name, at]): Pair => [old.get(name), at]), ...gone];
}

function* indexNames(list: readonly unknown[]): Steps<Map<string, number> | undefined> {
  const names = new Map<string, number>();
  for (const [at, entry] of list.entries()) {
    if (isStep(at)) yield;
    const name = isRecord(entry) ? entry["name"] : undefined;
    if (typeof name !== "string" || names.has(name)) return undefined;
    names.set(name, at);
  }
  return names;
}

/** Pairs entries in order, after the equal ones at both ends. */
function* pairByPosition(before: readonly unknown[], after: readonly unknown[]): Steps<Pair[]> {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  for (; head < shorter && isDeepStrictEqual(before[head], after[head]); head++) yield;
  let tail = 0;
  for (; tail < shorter - head && isDeepStrictEqual(before.at(-1 - tail), after.at(-1 - tail)); tail++) yield;
  const [olds, nows] = [before.length - tail, after.length - tail];
  return Array.from({ length: Math.max(olds, nows) - head }, (_, at): Pair => [
    head + at < olds ? head + at : undefined,
    head + at < nows ? head + at : undefined,
  ]);
}

function show(value: unknown): string {
  return cutShown(JSON.stringify(value) ?? "nothing");
}

function cutShown(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}

/** Settings of the process that are read at its start alone. */
const FIXED = ["sockets", "splice", "spliceAfter", "warmUp"] as const;

type Effective = Readonly<Record<string, unknown>>;

/** Gives settings that need a restart their old values, and a warning for each that was to change. */
export function keepFixedSettings(before: Effective, wanted: Effective): { effective: Effective; warnings: string[] } {
  const changed = FIXED.filter((name) => before[name] !== wanted[name]);
  const warnings = changed.map(
    (name) =>
      `${name}: ${JSON.stringify(wanted[name])} needs a restart. Until then ${JSON.stringify(before[name])} stays in effect.`,
  );
  const kept = Object.fromEntries(changed.map((name) => [name, before[name]]));
  return { effective: { ...wanted, ...kept }, warnings };
}
