import { SharedBudget } from "./shared-budget.ts";
import { throwLater } from "./throw-later.ts";
import type { TokenBuckets } from "./token-buckets.ts";
import { TurnPlace, TurnQueue } from "./turn-queue.ts";

/** A flow that waits for its budget. */
export interface Budgeted {
  /** More bytes may move: the flow asks its budget again. */
  refilled(): void;
}

/** Bytes that a flow may move. */
export interface Budget {
  /**
   * Takes up to `wanted` bytes and returns how many may move now. After fewer
   * than `wanted`, the budget calls `flow.refilled()` once when more may move.
   */
  take(wanted: number, flow: Budgeted): number;
  /**
   * Tells how many of `wanted` bytes may move now, and takes none. With `flow`, 0
   * means that the budget calls `flow.refilled()` once when some may move.
   */
  expect(wanted: number, flow?: Budgeted): number;
  /** Gives back bytes that were taken and did not move. */
  giveBack(bytes: number): void;
  /** The flow waits no longer. Without effect when it does not wait. */
  leave(flow: Budgeted): void;
  /** Whether a flow waits for it. */
  readonly isAwaited: boolean;
  /** The bucket that the flow waits for, where the budget is made of such. */
  readonly waitsFor?: number | undefined;
  /** Numbers of the buckets in shared memory that it is made of. Absent when only this thread knows it: its flows stay out of lanes. */
  readonly buckets?: readonly number[] | undefined;
}

/** The budget of one flow in user space, made of buckets that lanes share. */
export class FlowBudget implements Budget {
  readonly place: TurnPlace<FlowBudget> = new TurnPlace(this);
  readonly buckets: readonly number[];
  readonly #timer: BudgetTimer;
  readonly #shared: SharedBudget;
  #flow: Budgeted | undefined;
  #isTimed = false;

  constructor(timer: BudgetTimer, memory: TokenBuckets, buckets: readonly number[]) {
    this.buckets = buckets;
    this.#timer = timer;
    this.#shared = new SharedBudget(memory, buckets);
  }

  take(wanted: number, flow: Budgeted): number {
    let taken = 0;
    while (taken < wanted) {
      const more = this.#shared.take(wanted - taken);
      if (more === 0) break;
      taken += more;
    }
    this.#flow = taken < wanted ? flow : undefined;
    this.#setTimer();
    return taken;
  }

  expect(wanted: number, flow?: Budgeted): number {
    const expected = this.#shared.expect(wanted, flow !== undefined);
    if (expected > 0) this.#flow = undefined;
    else this.#flow ??= flow;
    this.#setTimer();
    return expected;
  }

  giveBack(bytes: number): void {
    this.#shared.giveBack(bytes);
    this.#setTimer();
  }

  leave(): void {
    this.#shared.leave();
    this.#flow = undefined;
    this.#setTimer();
  }

  get isAwaited(): boolean {
    return this.#flow !== undefined;
  }

  get waitsFor(): number | undefined {
    return this.#shared.waitsFor;
  }

  /** Its turn has come, or is over. */
  due(): void {
    this.#isTimed = false;
    if (this.#flow !== undefined) {
      this.#flow.refilled();
      return;
    }
    this.#shared.returnCredit();
    this.#setTimer();
  }

  #setTimer(): void {
    const { dueIn } = this.#shared;
    if (dueIn < Infinity) this.#timer.add(this, dueIn);
    else if (this.#isTimed) this.#timer.delete(this);
    this.#isTimed = dueIn < Infinity;
  }
}

/** One timer for all flows of a thread that wait for their budgets. It does not keep the process alive. */
export class BudgetTimer {
  readonly #turns = new TurnQueue<FlowBudget>();
  readonly #serve = (): void => this.#serveDue();
  #timer: Timer | undefined;
  #timerAt = Infinity;

  /** When a flow is to be served next; Infinity when none waits. */
  get nextAt(): number {
    return this.#turns.nextAt;
  }

  /** Calls `budget.due()` in about `ms` milliseconds. Replaces an earlier call. */
  add(budget: FlowBudget, ms: number): void {
    this.#turns.add(budget.place, performance.now() + ms);
    if (this.#turns.nextAt < this.#timerAt) this.#start();
  }

  delete(budget: FlowBudget): void {
    this.#turns.delete(budget.place);
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timerAt = this.#turns.nextAt;
    this.#timer = setTimeout(this.#serve, Math.max(0, this.#timerAt - performance.now())).unref();
  }

  #serveDue(): void {
    const now = performance.now();
    for (let budget = this.#turns.takeDue(now); budget !== undefined; budget = this.#turns.takeDue(now)) {
      try {
        budget.due();
      } catch (error) {
        throwLater(error);
      }
    }
    this.#timerAt = Infinity;
    if (this.#turns.nextAt < Infinity) this.#start();
  }
}
