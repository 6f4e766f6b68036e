import type { Budget, Budgeted } from "../../src/net/conn/budget.ts";

/** A budget that a test fills by hand: first come, first served, with a most per turn while others wait. */
export class SimpleBudget implements Budget {
  /** Bytes that flows moved. */
  moved = 0;
  readonly #turnBytes: number;
  readonly #waiting = new Set<Budgeted>();
  #bytes: number;

  constructor(bytes = 0, turnBytes = Infinity) {
    this.#bytes = bytes;
    this.#turnBytes = turnBytes;
  }

  /** Bytes that may move now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Flows that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  take(wanted: number, flow: Budgeted): number {
    const most = this.#waiting.size > 0 ? Math.min(wanted, this.#turnBytes) : wanted;
    const taken = Math.min(most, this.#bytes);
    this.#bytes -= taken;
    this.moved += taken;
    if (taken < wanted) this.#waiting.add(flow);
    return taken;
  }

  expect(wanted: number, flow?: Budgeted): number {
    if (this.#bytes === 0 && flow !== undefined) this.#waiting.add(flow);
    return Math.min(wanted, this.#bytes);
  }

  get isAwaited(): boolean {
    return this.#waiting.size > 0;
  }

  giveBack(bytes: number): void {
    this.#bytes += bytes;
    this.moved -= bytes;
  }

  leave(flow: Budgeted): void {
    this.#waiting.delete(flow);
  }

  /** Allows so many bytes more, and calls those that wait by turns as long as there are any. */
  fill(bytes: number): void {
    this.#bytes += bytes;
    for (const flow of this.#waiting) {
      if (this.#bytes === 0) return;
      this.#waiting.delete(flow);
      flow.refilled();
    }
  }
}
