/** A flow that waits for its budget. */
export interface Budgeted {
  /** More bytes may move: the flow asks its budget again. */
  refilled(): void;
}

/** Bytes that the flows of one direction may move. Flows that share a limit share its budget. */
export interface Budget {
  /**
   * Takes up to `wanted` bytes and returns how many may move now. After fewer
   * than `wanted`, the budget calls `flow.refilled()` once when more may move.
   */
  take(wanted: number, flow: Budgeted): number;
  /** Gives back bytes that were taken and did not move. */
  giveBack(bytes: number): void;
  /** The flow waits no longer. Without effect when it does not wait. */
  leave(flow: Budgeted): void;
  /** Numbers of the buckets in shared memory that it is made of. Absent when only this thread knows it: its flows stay out of lanes. */
  readonly buckets?: readonly number[] | undefined;
}
