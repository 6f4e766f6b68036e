/** Long work in steps: at each `yield` other work may have its turn. The same work at once or in turns has the same result. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/** Items of a list that are worked through between two steps. */
const STEP_ITEMS = 32;
/** Milliseconds of work between two turns of the event loop. */
const SLICE_MS = 2;

/** Whether a loop over a long list should `yield` after the item at `at`. */
export function isStep(at: number): boolean {
  return at % STEP_ITEMS === STEP_ITEMS - 1;
}

/** Does it without a pause. */
export function runAtOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Does it in slices of some milliseconds; `turn` resolves when everything else that is due has had its turn. */
export async function runInTurns<Result>(steps: Steps<Result>, turn: () => Promise<void>): Promise<Result> {
  let until = performance.now() + SLICE_MS;
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < until) continue;
    await turn();
    until = performance.now() + SLICE_MS;
  }
}

/** In turns where there is a `turn`, else at once. */
export async function run<Result>(steps: Steps<Result>, turn: (() => Promise<void>) | undefined): Promise<Result> {
  return turn === undefined ? runAtOnce(steps) : runInTurns(steps, turn);
}
