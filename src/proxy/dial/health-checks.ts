import type { HealthPlan } from "../route/pool-plan.ts";
import type { Member } from "../upstream/member.ts";
import type { Pool } from "../upstream/pool.ts";
import { checkMember } from "./check-member.ts";
import type { DialServices } from "./dial-context.ts";

/** Checks that run at once. */
const MAX_RUNNING = 32;

/** A part of the time between two checks, by which it differs each time: members are not checked in step. */
const JITTER = 0.1;

/** Milliseconds in which all members are checked for the first time. */
const FIRST_MS = 1000;

/**
 * Checks of a member that follow a use of its pool, with `whenIdle: false`. They are counted, not
 * timed: a process that had no CPU for a while makes all of them.
 */
const IDLE_CHECKS = 10;

export interface HealthChecksOptions {
  readonly services: DialServices;
  readonly reportBug: (error: unknown) => void;
}

/** The active checks of all members of the pools of one gate. */
export class HealthChecks {
  readonly #options: HealthChecksOptions;
  readonly #tasks = new Map<Member, CheckTask>();
  /** Checks that are due and wait for others to end. */
  readonly #due: CheckTask[] = [];
  #running = 0;
  #stopped = true;

  constructor(options: HealthChecksOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopped = false;
    this.follow();
  }

  /** Ends all checks. What they have found stays. */
  stop(): void {
    this.#stopped = true;
    for (const task of this.#tasks.values()) task.cancel();
    this.#tasks.clear();
    this.#due.length = 0;
  }

  /** Follows the pools after a change of the configuration: members that stay are checked on. */
  follow(): void {
    if (this.#stopped) return;
    const seen = new Set<Member>();
    for (const pool of this.#options.services.pools) {
      const { health } = pool.plan;
      if (health === undefined) continue;
      for (const member of pool.members) {
        const { way } = member.plan;
        // Other pools check their own members.
        if (way === "direct" || way.kind === "pool") continue;
        seen.add(member);
        if (!this.#tasks.has(member)) this.#begin(pool, member, health);
      }
    }
    for (const [member, task] of this.#tasks) {
      if (seen.has(member)) continue;
      task.cancel();
      this.#tasks.delete(member);
    }
  }

  #begin(pool: Pool, member: Member, { everyMs }: HealthPlan): void {
    const task = new CheckTask(pool, member, (due) => this.#run(due));
    this.#tasks.set(member, task);
    task.wait(Math.random() * Math.min(FIRST_MS, everyMs));
  }

  #run(task: CheckTask): void {
    if (this.#running < MAX_RUNNING) void this.#check(task);
    else this.#due.push(task);
  }

  async #check(task: CheckTask): Promise<void> {
    this.#running += 1;
    try {
      await task.check(this.#options.services);
    } catch (error) {
      this.#options.reportBug(error);
    } finally {
      this.#running -= 1;
    }
    if (this.#tasks.get(task.member) === task) task.waitOn();
    const next = this.#due.shift();
    if (next !== undefined) this.#run(next);
  }
}

/** The checks of one member, one after the other. */
class CheckTask {
  readonly member: Member;
  readonly #pool: Pool;
  readonly #isDue: (task: CheckTask) => void;
  #timer: Timer | undefined;
  #cancelled = false;
  /** When the pool had last been used at the check before, and checks since then. */
  #usedAt = -Infinity;
  #sinceUse = IDLE_CHECKS;

  constructor(pool: Pool, member: Member, isDue: (task: CheckTask) => void) {
    this.#pool = pool;
    this.member = member;
    this.#isDue = isDue;
  }

  wait(ms: number): void {
    this.#timer = setTimeout(() => this.#isDue(this), ms).unref();
  }

  /** Waits for the next check. */
  waitOn(): void {
    const everyMs = this.#pool.plan.health?.everyMs;
    if (everyMs !== undefined) this.wait(everyMs * (1 + JITTER * (2 * Math.random() - 1)));
  }

  cancel(): void {
    this.#cancelled = true;
    clearTimeout(this.#timer);
  }

  async check(services: DialServices): Promise<void> {
    const { health } = this.#pool.plan;
    const { way } = this.member.plan;
    if (this.#cancelled || health === undefined || way === "direct" || way.kind === "pool") return;
    if (this.#isIdle() && !health.whenIdle) return;
    const { probe, timeoutMs } = health;
    const reason = await checkMember({ hop: way, probe, timeoutMs }, services);
    // The configuration may have changed meanwhile.
    if (!this.#cancelled && this.#pool.plan.health !== undefined)
      this.member.health.check(reason === undefined ? undefined : `check: ${reason}`, this.#pool.now(), health);
  }

  /** Whether enough checks have followed the last use of the pool. Counts the one that is due. */
  #isIdle(): boolean {
    const { usedAt } = this.#pool;
    if (usedAt !== this.#usedAt) {
      this.#usedAt = usedAt;
      this.#sinceUse = 0;
    }
    if (this.#sinceUse >= IDLE_CHECKS) return true;
    this.#sinceUse += 1;
    return false;
  }
}
