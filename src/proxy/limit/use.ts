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
  /** Bytes of the day and the month of `#day`. */
  #dayBytes = 0;
  #monthBytes = 0;
  #day = -1;
  /** Bytes in all, for rates. */
  allUp = 0;
  allDown = 0;

  constructor(key: string) {
    this.key = key;
  }

  add(period: Period, up: number, down: number, requests: number): void {
    this.touched = true;
    this.allUp += up;
    this.allDown += down;
    const known = this.days.at(-1);
    const today = known?.day === period.day ? known : this.#open(period.day);
    today.add(up, down, requests);
    if (this.#day !== period.day) this.#sumUp(period);
    else {
      this.#dayBytes += up + down;
      this.#monthBytes += up + down;
    }
  }

  refuse(limit: string): void {
    this.touched = true;
    this.refused ??= new Map();
    this.refused.set(limit, (this.refused.get(limit) ?? 0) + 1);
  }

  /** Bytes up and down of the day. */
  dayBytes(period: Period): number {
    if (this.#day !== period.day) this.#sumUp(period);
    return this.#dayBytes;
  }

  /** Bytes up and down of the month. */
  monthBytes(period: Period): number {
    if (this.#day !== period.day) this.#sumUp(period);
    return this.#monthBytes;
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
    this.#dayBytes = today.up + today.down;
    this.#monthBytes = month.up + month.down;
  }
}

const NOTHING: Counts = { up: 0, down: 0, requests: 0 };

/** What the requests of one connection are counted under, as long as they are alike. */
export interface Accounts {
  readonly user: Use | undefined;
  readonly client: Use;
  readonly target: Use | undefined;
  readonly upstream: Use | undefined;
}
