import type { UsageParts } from "./compose-usage.ts";
import { formatDay, type Period } from "./proxy/limit/calendar.ts";
import type { Limits } from "./proxy/limit/limits.ts";
import { type Counts, Use } from "./proxy/limit/use.ts";
import { findKey, type Usage, type UsageKind } from "./proxy/limit/usage.ts";
import type { LiveTable } from "./proxy/record/live-table.ts";
import type { UsageQuestion, UsageReport, UsageRow } from "./sidecar/usage.ts";
import { describeLimits, type LimitTables } from "./usage-limits.ts";

/** Milliseconds over which a rate is measured: at least, and at most. */
const SHORTEST_MS = 900;
const LONGEST_MS = 15_000;

/** Bytes of all uses of a table at one time. */
interface Sample {
  readonly at: number;
  readonly bytes: ReadonlyMap<Use, { readonly up: number; readonly down: number }>;
}

export interface ReportOptions {
  readonly parts: Pick<UsageParts, "usage" | "keeper" | "quotas">;
  readonly tables: LimitTables;
  readonly live: Pick<LiveTable, "look">;
  readonly limits: () => Limits;
  /** Milliseconds since the epoch at which counting began. */
  readonly since: number;
}

/** Answers questions about use. It measures rates only while somebody asks. */
export class UsageReporter {
  readonly #options: ReportOptions;
  readonly #samples = new Map<UsageKind, Sample>();

  constructor(options: ReportOptions) {
    this.#options = options;
  }

  async report({ by, since, top, key }: UsageQuestion): Promise<UsageReport | string> {
    const { usage, keeper, quotas } = this.#options.parts;
    // A user who was forgotten is read from the file meanwhile.
    if (by === "user" && key !== undefined && usage.tables.user.find(key) === undefined) quotas.onUnknown?.(key);
    const before = await this.#sampleBefore(by);
    const open = this.#countOpen(by);
    const now = this.#sample(by);
    const { period } = usage.clock;
    const from = findDay(since, period, usage);
    const earlier = await this.#findEarlier(by, from, period);
    if (typeof earlier === "string") return earlier;
    const known = new Set<string>();
    const rows = Array.from(usage.tables[by], (use): readonly [Use, Counts] => {
      known.add(use.key);
      return [use, earlier.get(use.key) ?? use.since(from)];
    });
    // Users that were not active in this month are in the file alone.
    for (const [user, counts] of earlier) if (!known.has(user)) rows.push([new Use(user), counts]);
    if (key !== undefined) {
      const found = rows.find(([use]) => use.key === key);
      rows.length = 0;
      rows.push(found ?? [new Use(key), NOTHING]);
    }
    rows.sort(([one, a], [other, b]) => b.up + b.down - a.up - a.down || (one.key < other.key ? -1 : 1));
    const { tables } = this.#options;
    const limits = this.#options.limits();
    return {
      by,
      since: formatDay(from),
      day: formatDay(period.day),
      month: formatDay(period.month),
      counting_since: new Date(this.#options.since).toISOString(),
      kept: by !== "user" || keeper === undefined ? false : (keeper.status.fault ?? true),
      rows: rows.slice(0, top).map(([use, counts]): UsageRow => {
        const [passed, seconds] = [before.bytes.get(use), (now.at - before.at) / 1000];
        return {
          key: use.key,
          open: open.get(use.key) ?? 0,
          rate: {
            up: measure(use.allUp - (passed?.up ?? 0), seconds),
            down: measure(use.allDown - (passed?.down ?? 0), seconds),
          },
          today: use.since(period.day),
          month: use.since(period.month),
          since: counts,
          refused: Object.fromEntries(use.refused ?? []),
          ...describeLimits(by, use, limits, period, tables),
        };
      }),
      others: sumUp(rows.slice(top).map(([, counts]) => counts)),
    };
  }

  /** An earlier sample; one that is made now where there is none of use. */
  async #sampleBefore(by: UsageKind): Promise<Sample> {
    const last = this.#samples.get(by);
    const age = performance.now() - (last?.at ?? -Infinity);
    if (last !== undefined && age <= LONGEST_MS) {
      if (age < SHORTEST_MS) await Bun.sleep(SHORTEST_MS - age);
      return last;
    }
    const sample = this.#sample(by);
    await Bun.sleep(SHORTEST_MS);
    return sample;
  }

  #sample(by: UsageKind): Sample {
    const { usage } = this.#options.parts;
    this.#options.live.look((record, up, down) => usage.look(record, up, down));
    const bytes = new Map(Array.from(usage.tables[by], (use) => [use, { up: use.allUp, down: use.allDown }]));
    const sample = { at: performance.now(), bytes };
    this.#samples.set(by, sample);
    setTimeout(() => {
      if (this.#samples.get(by) === sample) this.#samples.delete(by);
    }, LONGEST_MS).unref();
    return sample;
  }

  #countOpen(by: UsageKind): ReadonlyMap<string, number> {
    const open = new Map<string, number>();
    this.#options.live.look((record) => {
      const key = findKey[by](record);
      if (key !== undefined) open.set(key, (open.get(key) ?? 0) + 1);
    });
    return open;
  }

  /** What the file has of users from before this month on; none where memory has it all. */
  async #findEarlier(by: UsageKind, from: number, period: Period): Promise<ReadonlyMap<string, Counts> | string> {
    const { usage, keeper } = this.#options.parts;
    if (by !== "user" || keeper === undefined || from >= period.month) return new Map();
    const rows = await keeper.sum(from, period.day);
    if (rows === undefined) return `The file of use cannot be read now. Ask for since=month, which is in memory.`;
    return new Map(
      rows.map(([user, , up, down, requests]) => {
        const unsaved = usage.tables.user.find(user)?.unsavedSince(from);
        return [
          user,
          {
            up: up + (unsaved?.up ?? 0),
            down: down + (unsaved?.down ?? 0),
            requests: requests + (unsaved?.requests ?? 0),
          },
        ];
      }),
    );
  }
}

const NOTHING: Counts = { up: 0, down: 0, requests: 0 };

function findDay(since: UsageQuestion["since"], period: Period, usage: Usage): number {
  if (since === "today") return period.day;
  if (since === "month") return period.month;
  if ("day" in since) return since.day;
  return "days" in since ? period.day - since.days + 1 : usage.clock.dayAt(since.at);
}

function measure(bytes: number, seconds: number): number {
  return Math.max(0, Math.round(bytes / seconds));
}

function sumUp(counts: readonly Counts[]): UsageReport["others"] {
  const sum = { number: counts.length, up: 0, down: 0, requests: 0 };
  for (const { up, down, requests } of counts) {
    sum.up += up;
    sum.down += down;
    sum.requests += requests;
  }
  return sum;
}
