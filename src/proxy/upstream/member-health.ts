import type { EjectPlan, HealthPlan } from "../route/pool-plan.ts";

/**
 * `trial`: the time of an ejection is over, and one dial may find out whether the
 * member works again. `down`: by active checks. `disabled`: by an operator.
 */
export type HealthState = "healthy" | "ejected" | "trial" | "down" | "disabled";

/** A change of state that is not a matter of time. */
export interface HealthChange {
  readonly state: HealthState;
  readonly reason: string;
  /** Of an ejection: the failures in a row that led to it, and for how many milliseconds it is. */
  readonly failures?: number;
  readonly forMs?: number;
}

/** The health of a member as another process takes it over. */
export interface SavedHealth {
  readonly disabled: boolean;
  readonly down: boolean;
  readonly ejections: number;
  /** Milliseconds of the last ejection, and those that are left of one under way. */
  readonly lastForMs: number;
  /** Milliseconds since its state last changed. */
  readonly sinceMs: number;
  readonly ejectedForMs?: number;
  readonly reason?: string;
}

/** The smallest share of a member that has just come back. */
const LEAST_SHARE = 0.05;

/**
 * The health of one member: what dials through it, active checks and the operator
 * have found. Times are monotonic milliseconds.
 */
export class MemberHealth {
  /** Why it is in its state; undefined for a member that never was in another. */
  reason: string | undefined;
  changedAt: number;
  /** Times that it was ejected. */
  ejections = 0;
  readonly #changed: (change: HealthChange) => void;
  /** Something happened to it in this process. */
  #hasChanged = false;
  #disabled = false;
  /** Why it was in its state when an operator disabled it. */
  #reasonBefore: string | undefined;
  #down = false;
  /** Undefined while it is not ejected. */
  #ejectedUntil: number | undefined;
  /** How long the last ejection took, and when it ended with a success. */
  #lastForMs = 0;
  #returnedAt = -Infinity;
  #trialRuns = false;
  #failures = 0;
  #checks = 0;
  /** Since when its share grows. */
  #rampFrom = -Infinity;

  constructor(now: number, changed: (change: HealthChange) => void) {
    this.changedAt = now;
    this.#changed = changed;
  }

  /** Consecutive failures of its own. */
  get failures(): number {
    return this.#failures;
  }

  get disabled(): boolean {
    return this.#disabled;
  }

  /** When the time of its ejection is over; Infinity when no time changes its state. */
  changesAt(now: number): number {
    return this.#ejectedUntil !== undefined && this.#ejectedUntil > now ? this.#ejectedUntil : Infinity;
  }

  stateAt(now: number): HealthState {
    if (this.#disabled) return "disabled";
    if (this.#down) return "down";
    if (this.#ejectedUntil === undefined) return "healthy";
    return now < this.#ejectedUntil ? "ejected" : "trial";
  }

  /** Whether a dial may use it. */
  isUsableAt(now: number): boolean {
    const state = this.stateAt(now);
    return state === "healthy" || (state === "trial" && !this.#trialRuns);
  }

  /** Whether the one trial is under way. */
  get isOnTrial(): boolean {
    return this.#trialRuns;
  }

  /** Its share of its weight, which grows for `slowStartMs` after it came back. */
  shareAt(now: number, slowStartMs: number): number {
    const since = now - this.#rampFrom;
    return since >= slowStartMs ? 1 : Math.max(LEAST_SHARE, since / slowStartMs);
  }

  /** A dial begins to use it. True when that is the trial: then `succeed`, `fail` or `abandon` must follow. */
  begin(now: number): boolean {
    if (this.stateAt(now) !== "trial" || this.#trialRuns) return false;
    this.#trialRuns = true;
    return true;
  }

  /** A dial that began at `begunAt` has succeeded, or failed because of what is behind it. */
  succeed(isTrial: boolean, begunAt: number, now: number): void {
    this.#failures = 0;
    // One that began after the ejection knows no less than a trial.
    if (!isTrial && (this.#ejectedUntil === undefined || begunAt <= this.changedAt)) return;
    this.#trialRuns = false;
    this.#ejectedUntil = undefined;
    this.#returnedAt = now;
    this.#rampFrom = now;
    this.#enter(now, "the trial went well");
  }

  /** A dial that began at `begunAt` failed because of it. What began before its last change says nothing new. */
  fail(reason: string, isTrial: boolean, begunAt: number, now: number, plan: EjectPlan): void {
    if (isTrial) this.#trialRuns = false;
    else if (begunAt < this.changedAt || this.stateAt(now) !== "healthy") return;
    this.#failures += 1;
    if (isTrial || (plan.failures > 0 && this.#failures >= plan.failures))
      this.#eject(this.#backOff(now, plan), reason, now);
  }

  /** The trial has shown nothing. */
  abandon(isTrial: boolean): void {
    if (isTrial) this.#trialRuns = false;
  }

  /** It answered with a status that ejects. `ms` is what it asks for, when it does. */
  ejectFor(reason: string, ms: number | undefined, isTrial: boolean, now: number, plan: EjectPlan): void {
    if (isTrial) this.#trialRuns = false;
    else if (this.stateAt(now) !== "healthy") return;
    this.#eject(
      ms === undefined ? this.#backOff(now, plan) : Math.min(Math.max(ms, plan.forMs), plan.maxMs),
      reason,
      now,
    );
  }

  /** Takes the result of an active check: `reason` when it failed. */
  check(reason: string | undefined, now: number, plan: Pick<HealthPlan, "rise" | "fall">): void {
    const isBad = reason !== undefined;
    if (isBad === this.#down) {
      this.#checks = 0;
      return;
    }
    this.#checks += 1;
    if (this.#checks < (isBad ? plan.fall : plan.rise)) return;
    this.#checks = 0;
    this.#down = isBad;
    if (!isBad) {
      // A check knows no less than a trial.
      this.#ejectedUntil = undefined;
      this.#failures = 0;
      this.#rampFrom = now;
    }
    this.#enter(now, reason ?? "checks went well");
  }

  /** Forgets what active checks have found: there are none any more. */
  uncheck(now: number): void {
    this.#checks = 0;
    if (!this.#down) return;
    this.#down = false;
    this.#enter(now, "checks are off");
  }

  /** Takes it out of use, or back into it. False when it was so already. */
  disable(disabled: boolean, now: number): boolean {
    if (disabled === this.#disabled) return false;
    this.#disabled = disabled;
    if (disabled) this.#reasonBefore = this.reason;
    else this.#rampFrom = now;
    const before = this.stateAt(now) === "healthy" ? undefined : this.#reasonBefore;
    this.#enter(now, disabled ? "by an operator" : (before ?? "enabled by an operator"));
    return true;
  }

  /** What another process is to know. */
  save(now: number): SavedHealth {
    const until = this.#ejectedUntil;
    return {
      disabled: this.#disabled,
      down: this.#down,
      ejections: this.ejections,
      lastForMs: this.#lastForMs,
      sinceMs: Math.max(0, now - this.changedAt),
      ...(until !== undefined && { ejectedForMs: Math.max(0, until - now) }),
      ...(this.reason !== undefined && { reason: this.reason }),
    };
  }

  /** Takes over what another process has found, unless something has happened here since. Nobody is told of it again. */
  restore({ disabled, down, ejections, lastForMs, sinceMs, ejectedForMs, reason }: SavedHealth, now: number): void {
    if (this.#hasChanged && this.changedAt > now - sinceMs) return;
    this.#disabled = disabled;
    this.#down = down;
    this.ejections = ejections;
    this.#lastForMs = lastForMs;
    this.#ejectedUntil = ejectedForMs === undefined ? undefined : now + ejectedForMs;
    this.reason = reason;
    this.changedAt = now - sinceMs;
  }

  #eject(ms: number, reason: string, now: number): void {
    this.#lastForMs = ms;
    this.#ejectedUntil = now + ms;
    const failures = this.#failures;
    this.#failures = 0;
    this.ejections += 1;
    this.#enter(now, reason, { failures, forMs: ms });
  }

  /** A member that fails again at once, or soon after its return, is left out for twice as long. */
  #backOff(now: number, { forMs, maxMs }: EjectPlan): number {
    const isSoon = this.#ejectedUntil !== undefined || now - this.#returnedAt < this.#lastForMs;
    return Math.min(isSoon ? Math.max(2 * this.#lastForMs, forMs) : forMs, maxMs);
  }

  #enter(now: number, reason: string, ejection: Pick<HealthChange, "failures" | "forMs"> = {}): void {
    this.reason = reason;
    this.changedAt = now;
    this.#hasChanged = true;
    this.#changed({ state: this.stateAt(now), reason, ...ejection });
  }
}
