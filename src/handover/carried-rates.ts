import { type JsonValue, readListOf, readObject } from "../protocol/handover/json-value.ts";
import type { RateBucket, SavedBucket } from "../proxy/limit/rate-bucket.ts";
import type { RequestLimits } from "../proxy/limit/request-limits.ts";
import type { CarriedState } from "./carried-state.ts";

/** Buckets of each table that are carried: those with the most in use. A message has a bound, and names of targets are long. */
const MOST = 8192;

const TABLES = ["clients", "users", "targets"] as const;

type Row = readonly [key: string, used: number, at: number, taken: number];

/**
 * What is used of rates. Numbers of connections are not here: connections take
 * their slots along. Both processes serve for a while, so what comes the second
 * time is added as far as it is new.
 */
export function carryRates(limits: RequestLimits, clock: () => number = () => performance.now()): CarriedState {
  /** What the other process had taken when that was last added here, by table and key. */
  const bases = new Map<string, number>();
  const add = (bucket: RateBucket, name: string, saved: SavedBucket) => {
    bucket.restore(saved, bases.get(name));
    bases.set(name, saved.taken);
  };
  return {
    name: "rates",
    save() {
      const now = clock();
      const save = (buckets: Iterable<readonly [string, RateBucket]>): JsonValue => {
        const inUse = Array.from(buckets, ([key, bucket]) => ({ key, bucket, used: bucket.usedAt(now) }))
          .filter(({ used }) => used > 0)
          .sort((one, other) => other.used - one.used)
          .slice(0, MOST);
        return inUse.map(({ key, bucket }) => {
          const { used, at, taken } = bucket.save();
          return [key, used, at, taken];
        });
      };
      const tables = TABLES.map((name) => {
        const entries = Array.from(limits[name].entries(), ({ key, value }) => [key, value] as const);
        return [name, save(entries)] as const;
      });
      return { all: save([["", limits.all]]), ...Object.fromEntries(tables) };
    },
    restore(value, clockShiftMs) {
      const saved = readObject(value) ?? {};
      let understood = true;
      for (const name of ["all", ...TABLES] as const) {
        const rows = readListOf(saved[name], readRow);
        if (rows === undefined) understood = false;
        for (const [key, used, at, taken] of rows ?? []) {
          const bucket = name === "all" ? limits.all : limits[name].use(key);
          add(bucket, `${name} ${key}`, { used, at: at + clockShiftMs, taken });
        }
      }
      return understood;
    },
  };
}

function readRow(item: unknown): Row | undefined {
  if (!Array.isArray(item)) return undefined;
  const [key, used, at, taken] = item as readonly unknown[];
  if (typeof key !== "string" || !isAmount(used) || typeof at !== "number" || !isAmount(taken)) return undefined;
  return [key, used, at, taken];
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}
