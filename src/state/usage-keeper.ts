import type { Tell } from "../operator-message.ts";
import { join } from "node:path";
import { formatDay, type Period } from "../proxy/limit/calendar.ts";
import type { Limits } from "../proxy/limit/limits.ts";
import type { Quotas } from "../proxy/limit/quotas.ts";
import type { Counts, Use } from "../proxy/limit/use.ts";
import { findUser, type Usage } from "../proxy/limit/usage.ts";
import type { LiveTable } from "../proxy/record/live-table.ts";
import { describeUsageFault, isCorruption } from "./usage-fault.ts";
import { UsageThread } from "./usage-thread.ts";
import type { UseRow } from "./usage-copy.ts";
import type { UsageOrder } from "./usage-worker.ts";

/** Milliseconds between two looks at what flows under way have moved, each of which is written. With the write it stays below a second. */
export const LOOK_MS = 400;
/** Milliseconds after a failure. */
const RETRY_MS = 1000;
/** Milliseconds without an answer after which the disk counts as stuck. */
const STUCK_MS = 2000;
/** Milliseconds for the file to be opened before clients come, and for the last write. */
const OPEN_MS = 5000;
const LAST_MS = 3000;

export interface KeeperOptions {
  readonly usage: Usage;
  readonly quotas: Quotas;
  readonly live: Pick<LiveTable, "look" | "endSpent">;
  readonly limits: () => Limits;
  readonly tell: Tell;
  readonly thread?: Pick<UsageThread, "ask" | "end">;
}

/** How well use is kept. */
export interface KeeperStatus {
  readonly file: string;
  /** Why it is not kept now, as the rest of a sentence. */
  readonly fault: string | undefined;
  /** Writes that failed. */
  readonly failures: number;
  /** Milliseconds since everything was kept. */
  readonly behindMs: number;
}

/** What is used of a day and not in the file yet. */
export interface UnsavedUse extends Counts {
  readonly use: Use;
  readonly day: number;
}

type Order = Extract<UsageOrder, { kind: "write" }>;

/**
 * Looks at running flows now and then, ends those of users whose quota is used up
 * where the configuration says so, and keeps the use of users in a file.
 */
export class UsageKeeper {
  readonly file: string;
  readonly #options: KeeperOptions;
  readonly #thread: Pick<UsageThread, "ask" | "end">;
  readonly #unsaved = new Set<Use>();
  /** Users of whom nothing is known here, and perhaps something in the file. */
  readonly #wanted = new Set<string>();
  /** Users whose reached quota is in the copy. */
  readonly #reached = new Set<string>();
  #isOpen = false;
  /** What the thread does now, up to the end of what follows from its answer: no two writes have the same use. */
  #working: { readonly since: number; readonly done: Promise<void> } | undefined;
  /** What the write under way writes. */
  #sent: readonly UnsavedUse[] = [];
  #retryAt = -Infinity;
  #fault: string | undefined;
  #failures = 0;
  #keptAt = performance.now();
  #timer: Timer | undefined;
  #ended = false;

  constructor(folder: string, options: KeeperOptions) {
    this.file = join(folder, "usage.db");
    this.#options = options;
    this.#thread = options.thread ?? new UsageThread();
    options.usage.unsaved = this.#unsaved;
    // Without anybody forgotten, whoever is not known has used nothing.
    options.quotas.onUnknown = (user) => {
      if (options.usage.tables.user.forgotten > 0 && this.#wanted.size < MAX_WAITING) this.#wanted.add(user);
    };
  }

  get status(): KeeperStatus {
    const behindMs = this.#unsaved.size === 0 ? 0 : performance.now() - this.#keptAt;
    return { file: this.file, fault: this.#fault, failures: this.#failures, behindMs };
  }

  /** Whether the file has been read: what is known here is what was used. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Reads what was used before, and begins to keep. Resolves when it is known, or the disk takes too long. */
  async start(): Promise<void> {
    const { day, month } = this.#options.usage.clock.period;
    this.#options.quotas.knowledge = { kind: "awaited", period: { day, month } };
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
    await within(
      OPEN_MS,
      this.#work(() => this.#open()),
    );
  }

  /** Counts what flows under way have moved, and has it written. */
  look(): void {
    lookAtFlows(this.#options);
    void this.#write();
  }

  /** Sums by user of days in the file; undefined when it cannot be read. */
  async sum(from: number, to: number): Promise<readonly UseRow[] | undefined> {
    if (this.#fault !== undefined) return undefined;
    const reply = await within(STUCK_MS, this.#thread.ask({ kind: "sum", from, to }));
    return reply?.kind === "summed" ? reply.rows : undefined;
  }

  /** What is not in the file, and not in the write under way either: that may arrive, also on a disk that does not answer. */
  listUnsaved(): UnsavedUse[] {
    const sent = new Map(this.#sent.map((each) => [`${each.day} ${each.use.key}`, each]));
    return this.#collect().map(({ use, day, up, down, requests }) => {
      const { up: ups = 0, down: downs = 0, requests: known = 0 } = sent.get(`${day} ${use.key}`) ?? {};
      return { use, day, up: up - ups, down: down - downs, requests: requests - known };
    });
  }

  /** Tries to keep everything now. Resolves when that is done, or has failed, or takes longer. */
  async flush(ms: number): Promise<void> {
    await within(ms, this.#writeLast());
  }

  /** Keeps what is left, and closes the file. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#timer);
    await within(LAST_MS, this.#finish());
    this.#thread.end();
  }

  async #finish(): Promise<void> {
    const { usage, live } = this.#options;
    live.look((record, up, down) => usage.look(record, up, down));
    await this.#writeLast();
    await this.#thread.ask({ kind: "close" });
  }

  /** Writes what is left after the write under way. */
  async #writeLast(): Promise<void> {
    while (this.#working !== undefined) await this.#working.done;
    this.#retryAt = -Infinity;
    await this.#write(true);
  }

  #work(task: () => Promise<void>): Promise<void> {
    const done = task().finally(() => {
      this.#working = undefined;
    });
    this.#working = { since: performance.now(), done };
    return done;
  }

  async #open(): Promise<void> {
    const { quotas, usage, tell } = this.#options;
    const reply = await this.#thread.ask({ kind: "open", path: this.file, ...this.#describeKnown(usage.clock.period) });
    if (reply.kind === "opened") {
      this.#isOpen = true;
      if (reply.day !== undefined) usage.clock.reach(reply.day);
      this.#take(reply.rows);
      quotas.knowledge = reply.lost === undefined ? { kind: "whole" } : { kind: "lost", period: reply.lost };
      if (reply.isDamaged) this.#tellDamage(reply.lost === undefined);
      else if (reply.lost !== undefined && reply.lost.day === usage.clock.period.day)
        tell(`The use of users before ${formatDay(reply.lost.day)} is lost. ${this.#adviseLost()}`, "error");
      this.#recover();
    } else if (reply.kind === "failed") {
      if (reply.rows !== undefined) {
        this.#take(reply.rows);
        quotas.knowledge = { kind: "whole" };
      }
      this.#fail(reply.code);
    }
  }

  async #write(last = false): Promise<void> {
    const now = performance.now();
    if (this.#working !== undefined) {
      if (now - this.#working.since > STUCK_MS) this.#fail("stuck");
      return;
    }
    if (now >= this.#retryAt) await this.#work(() => this.#writeNow(last, now));
  }

  async #writeNow(last: boolean, now: number): Promise<void> {
    if (!this.#isOpen) await this.#open();
    if (!this.#isOpen) return;
    const { clock } = this.#options.usage;
    const { period } = clock;
    const sent = this.#collect();
    const wanted = [...this.#wanted].slice(0, MAX_WANTED);
    const urgent = this.#findReached(sent) || last;
    const rows = sent.map(({ use, day, up, down, requests }): UseRow => [use.key, day, up, down, requests]);
    const order: Order = { kind: "write", path: this.file, rows, wanted, urgent, ...this.#describeKnown(period) };
    this.#sent = sent;
    const reply = await this.#thread.ask(order);
    this.#sent = [];
    if (reply.kind !== "written") return this.#fail(reply.kind === "failed" ? reply.code : "thread");
    for (const user of wanted) this.#wanted.delete(user);
    this.#settle(sent, reply.rows);
    if (reply.isDamaged) this.#tellDamage(true);
    if (reply.trouble === undefined) this.#recover();
    else this.#fail(reply.trouble);
    this.#keptAt = now;
  }

  /** What is not in the file yet. */
  #collect(): UnsavedUse[] {
    const sent: UnsavedUse[] = [];
    for (const use of this.#unsaved) {
      let isSaved = true;
      for (const day of use.days) {
        if (!day.unsaved) continue;
        isSaved = false;
        sent.push({ use, day: day.day, up: day.unsavedUp, down: day.unsavedDown, requests: day.unsavedRequests });
      }
      if (isSaved) this.#unsaved.delete(use);
    }
    return sent;
  }

  /** What this process knows to be in the file of the month, should the file be damaged; nothing as long as it is read for the first time. */
  #describeKnown({ day, month }: Period): Pick<Order, "day" | "month" | "known"> {
    const known: UseRow[] = [];
    if (this.#isOpen && this.#fault !== undefined)
      for (const use of this.#options.usage.tables.user)
        for (const of of use.days)
          if (of.day >= month)
            known.push([
              use.key,
              of.day,
              of.up - of.unsavedUp,
              of.down - of.unsavedDown,
              of.requests - of.unsavedRequests,
            ]);
    return { day, month, known };
  }

  #settle(sent: readonly UnsavedUse[], rows: readonly UseRow[]): void {
    const own = new Map<string, UnsavedUse>();
    for (const each of sent) own.set(`${each.day} ${each.use.key}`, each);
    const { user: table } = this.#options.usage.tables;
    for (const [user, day, up, down, requests] of rows) {
      const key = `${day} ${user}`;
      const one = own.get(key);
      own.delete(key);
      const use = one?.use ?? table.open(user);
      use.save(day, { up, down, requests }, one);
      if (!use.unsaved) this.#unsaved.delete(use);
    }
  }

  #take(rows: readonly UseRow[]): void {
    this.#settle([], rows);
  }

  /** Whether a user has just reached a quota. */
  #findReached(sent: readonly UnsavedUse[]): boolean {
    const { quotas, limits } = this.#options;
    if (!limits().hasQuotas) return false;
    let isNew = false;
    for (const { use } of sent) {
      const isReached = quotas.refuse(use.key, limits())?.detail === "quota_exceeded";
      if (isReached && !this.#reached.has(use.key)) isNew = true;
      if (isReached) this.#reached.add(use.key);
      else this.#reached.delete(use.key);
    }
    return isNew;
  }

  #fail(code: string): void {
    this.#retryAt = performance.now() + RETRY_MS;
    if (code !== "stuck") this.#failures += 1;
    const fault = describeUsageFault(code);
    if (fault === this.#fault) return;
    this.#fault = fault;
    // The next try moves it aside, and tells that.
    if (isCorruption(code)) return;
    this.#options.tell(
      `The use of users cannot be kept in ${JSON.stringify(this.file)}: ${fault}. Quotas hold by what this process knows. What is not kept is lost if it ends.`,
      "error",
    );
  }

  #recover(): void {
    if (this.#fault === undefined) return;
    this.#fault = undefined;
    this.#options.tell(
      `The use of users is kept in ${JSON.stringify(this.file)} again. Nothing was lost meanwhile.`,
      "info",
    );
  }

  #tellDamage(isKnown: boolean): void {
    const rest = isKnown
      ? "What was used in this month was restored; earlier months are only in that file."
      : `The copy beside it is not there or damaged, too. ${this.#adviseLost()}`;
    this.#failures += 1;
    this.#options.tell(
      `The file of use ${JSON.stringify(this.file)} was damaged, replaced or removed. A damaged one is "${this.file}.damaged" now. ${rest}`,
      "error",
    );
  }

  #adviseLost(): string {
    return `Users with quotas are refused until their day or month ends, because nobody knows what they have used. To let them in and count from nothing, stop the proxy, remove ${JSON.stringify(`${this.file}*`)} and start it.`;
  }
}

/** Counts what flows under way have moved, and ends those of users whose quota is used up where the configuration says so. */
export function lookAtFlows({ usage, quotas, live, limits }: Omit<KeeperOptions, "tell" | "thread">): void {
  live.look((record, up, down) => usage.look(record, up, down));
  const { hasQuotas, onQuota } = limits();
  if (!hasQuotas || onQuota !== "end") return;
  live.endSpent((record) => {
    const failure = quotas.refuse(findUser(record), limits());
    return failure?.detail === "quota_exceeded" ? failure : undefined;
  });
}

/** Users that are looked up with one write, and that wait for that. Others ask again. */
const MAX_WANTED = 100;
const MAX_WAITING = 10_000;

/** The value of a promise; undefined when it takes longer. */
async function within<Value>(ms: number, promise: Promise<Value>): Promise<Value | undefined> {
  const { promise: elapsed, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, ms, undefined);
  try {
    return await Promise.race([promise, elapsed]);
  } finally {
    clearTimeout(timer);
  }
}
