import { describeThrown } from "./describe-thrown.ts";

/** What is wrong with how a function of the configuration answered, for people. */
export interface HookFault {
  /** Goes on from the name of the function: `threw`, `did not answer in 5000 ms`. Without anything of its making. */
  readonly why: string;
  /** Says what it threw, without `secrets`; for the operator alone. */
  readonly thrown?: (secrets: readonly string[]) => string;
}

/** A function of the configuration that failed, and with it the connection that needed its answer. */
export interface HookReport {
  /** Which function: `rule lab`, `via of rule lab`, `users`. */
  readonly hook: string;
  readonly fault: HookFault;
}

export type HookAnswer<T> =
  { readonly ok: true; readonly answer: T } | { readonly ok: false; readonly fault: HookFault };

/**
 * Calls a function of the configuration and gives it `ms` milliseconds. It is
 * somebody else's code: it may throw, reject, or never answer. What it says
 * after its time is ignored, also when it blocked this thread meanwhile, so that
 * no timer could tell. `secrets` are what it was told and must not be repeated.
 * `now` is a monotonic clock in milliseconds. Never rejects.
 */
export function callHook(
  call: () => unknown,
  ms: number,
  secrets: readonly string[] = [],
  now: () => number = () => performance.now(),
): Promise<HookAnswer<unknown>> {
  return new Promise((resolve) => {
    const late = blame(`did not answer in ${ms} ms`);
    const startedAt = now();
    const timer = setTimeout(() => resolve(late), ms);
    const settle = (result: HookAnswer<unknown>) => {
      clearTimeout(timer);
      resolve(now() - startedAt > ms ? late : result);
    };
    new Promise((answer) => answer(call())).then(
      (answer) => settle({ ok: true, answer }),
      (error: unknown) => {
        const thrown = (others: readonly string[]) => describeThrown(error, [...secrets, ...others]);
        settle({ ok: false, fault: { why: "threw", thrown } });
      },
    );
  });
}

/** The answer of a function that did answer, but with something else. */
export function blame(why: string): { ok: false; fault: HookFault } {
  return { ok: false, fault: { why } };
}
