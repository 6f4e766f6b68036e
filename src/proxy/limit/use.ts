import type { Period } from "./calendar.ts";

/** Bytes from clients to targets and back, and tunnels and forwarded requests that are over. */
export interface Counts {
  readonly up: number;
  readonly down: number;
  readonly requests: number;
}

/** Bytes of a flow, from its client and to it. */
export interface MovedBytes {
  readonly up: number;
  readonly down: number;
}

/** Days that are kept in memory: the longest month. */
const MAX_DAYS = 31;

/** What was used in one day, and how much of that is not kept yet. */
export class DayUse implements Counts {
  readonly day: number;
  up = 0;
  down = 0;
  requests = 0;
  unsavedUp = 0;
  unsavedDown = 0;
  unsavedRequests = 0;

  constructor(day: number) {
    this.day = day;
  }

  add(up: number, down: number, requests: number): void {
    this.up += up;
    this.down += down;
    this.requests += requests;
    this.unsavedUp += up;
    this.unsavedDown += down;
    this.unsavedRequests += requests;
  }

  /** Whether something of it is not kept yet. */
  get unsaved(): boolean {
    return this.unsavedUp !== 0 || this.unsavedDown !== 0 || this.unsavedRequests !== 0;
  }

  /** `sent` of it was kept, where `total` is now. Others add to the total, too. */
  save(sent: Counts, total: Counts): void {
    this.unsavedUp -= sent.up;
    this.unsavedDown -= sent.down;
    this.unsavedRequests -= sent.requests;
    this.up = total.up + this.unsavedUp;
    this.down = total.down + this.unsavedDown;
    this.requests = total.requests + this.unsavedRequests;
  }
}

/** What somebody uses, or what is used of something: by day. */
export class Use {
  readonly key: string;
  /** The newest last. */
  readonly days: DayUse[] = [];
  /** Requests that a limit refused, by the name of the limit; made for the first one. */
  refused: Map<string, number> | undefined = undefined;
  /** Set by each use. A table clears it when it looks for what is idle. */
  touched = false;
  /** Bytes of `#day` and of the month that began with `#month`. A reload can let the month of a day begin on another one. */
  #dayBytes = 0;
  #monthBytes = 0;
  #day = -1;
  #month = -1;
  /** Of this process in all. */
  allUp = 0;
  allDown = 0;
  allRequests = 0;

  /** Bytes that the process before this one has counted and could not keep, by day; until it gives them to this one. */
  awaited: { readonly day: number; readonly bytes: number }[] | undefined = undefined;
  /** Bytes that others have counted in a day and in a month, by the first day of each. */
  readonly #elsewhere = { day: { begins: -1, bytes: 0 }, month: { begins: -1, bytes: 0 } };

  constructor(key: string) {
    this.key = key;
  }

  add(period: Period, up: number, down: number, requests: number): void {
    this.touched = true;
    this.allUp += up;
    this.allDown += down;
    this.allRequests += requests;
    const known = this.days.at(-1);
    const today = known?.day === period.day ? known : this.#open(period.day);
    today.add(up, down, requests);
    if (this.#day !== period.day || this.#month !== period.month) this.#sumUp(period);
    else {
      this.#dayBytes += up + down;
      this.#monthBytes += up + down;
    }
  }

  /** Adds what another has in all. */
  include({ allUp, allDown, allRequests }: Use): void {
    this.allUp += allUp;
    this.allDown += allDown;
    this.allRequests += allRequests;
  }

  refuse(limit: string): void {
    this.touched = true;
    this.refused ??= new Map();
    this.refused.set(limit, (this.refused.get(limit) ?? 0) + 1);
  }

  /** Bytes up and down of the day, with those that others have counted. */
  dayBytes(period: Period): number {
    return this.ownBytes("day", period) + this.#countElsewhere("day", period);
  }

  /** Bytes up and down of the month, with those that others have counted. */
  monthBytes(period: Period): number {
    return this.ownBytes("month", period) + this.#countElsewhere("month", period);
  }

  /** Bytes up and down that were counted here. */
  ownBytes(span: "day" | "month", period: Period): number {
    if (this.#day !== period.day || this.#month !== period.month) this.#sumUp(period);
    return span === "day" ? this.#dayBytes : this.#monthBytes;
  }

  /** Notes what others have counted in the day or month that began with `begins`. It never becomes less: who lost count must not open a quota. */
  setElsewhere(span: "day" | "month", begins: number, bytes: number): void {
    const elsewhere = this.#elsewhere[span];
    elsewhere.bytes = begins === elsewhere.begins ? Math.max(elsewhere.bytes, bytes) : bytes;
    elsewhere.begins = begins;
  }

  #countElsewhere(span: "day" | "month", period: Period): number {
    const { begins, bytes } = this.#elsewhere[span];
    const elsewhere = begins === period[span] ? bytes : 0;
    const { awaited } = this;
    if (awaited === undefined) return elsewhere;
    return awaited.reduce((sum, each) => (each.day >= period[span] ? sum + each.bytes : sum), elsewhere);
  }

  /** Another process counted that in a day, and it is to be kept here. */
  take(day: number, up: number, down: number, requests: number): void {
    this.touched = true;
    this.dayOf(day).add(up, down, requests);
    this.#day = -1;
  }

  /** The sum from a day on. */
  since(day: number): Counts {
    const sum = { up: 0, down: 0, requests: 0 };
    for (const use of this.days) {
      if (use.day < day) continue;
      sum.up += use.up;
      sum.down += use.down;
      sum.requests += use.requests;
    }
    return sum;
  }

  /** What is not kept yet of the days from one on. */
  unsavedSince(day: number): Counts {
    const sum = { up: 0, down: 0, requests: 0 };
    for (const use of this.days) {
      if (use.day < day) continue;
      sum.up += use.unsavedUp;
      sum.down += use.unsavedDown;
      sum.requests += use.unsavedRequests;
    }
    return sum;
  }

  /** `sent` of a day was kept; `total` is what is kept of it now. Absent `sent`: it is only known now. */
  save(day: number, total: Counts, sent: Counts = NOTHING): void {
    this.dayOf(day).save(sent, total);
    this.#day = -1;
  }

  /** Whether something of it is not kept yet. */
  get unsaved(): boolean {
    return this.days.some((use) => use.unsaved);
  }

  /** The use of a day. */
  dayOf(day: number): DayUse {
    return this.days.find((use) => use.day === day) ?? this.#open(day);
  }

  #open(day: number): DayUse {
    const use = new DayUse(day);
    this.days.push(use);
    this.days.sort((one, other) => one.day - other.day);
    const [oldest] = this.days;
    if (this.days.length > MAX_DAYS && oldest?.unsaved === false) this.days.shift();
    return use;
  }

  #sumUp(period: Period): void {
    const [today, month] = [this.since(period.day), this.since(period.month)];
    this.#day = period.day;
    this.#month = period.month;
    this.#dayBytes = today.up + today.down;
    this.#monthBytes = month.up + month.down;
  }
}

const NOTHING: Counts = { up: 0, down: 0, requests: 0 };

/** What the requests of one connection are counted under, as long as they are alike. */
export interface Accounts {
  readonly user: Use | undefined;
  readonly client: Use | undefined;
  readonly target: Use | undefined;
  readonly upstream: Use | undefined;
}
