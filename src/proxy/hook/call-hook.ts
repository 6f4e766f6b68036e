import { describeThrown } from "./describe-thrown.ts";

/** How a function of the configuration failed, for people. */
export interface HookFault {
  /** What failed; default `function`. */
  readonly what?: "webhook" | "key server";
  /** Continues a sentence that begins with the function's name: `threw`, `did not answer in 5000 ms`. Has nothing that the function made. */
  readonly why: string;
  /** What came of it, as the end of that sentence. Default: `so the connection is refused`. */
  readonly result?: string;
  /** Describes what it threw, without `secrets`; only for the operator. */
  readonly thrown?: (secrets: readonly string[]) => string;
}

/** A function of the configuration that failed, and with it the connection that needed its answer. */
export interface HookReport {
  /** Which function: `function of rule lab`, `via function of rule lab`, `users function`. */
  readonly hook: string;
  readonly fault: HookFault;
}

export type HookAnswer<T> =
  { readonly ok: true; readonly answer: T } | { readonly ok: false; readonly fault: HookFault };

/**
 * Calls a function of the configuration, which may throw, reject or never answer.
 * An answer after `ms` milliseconds is ignored, also when the function blocked
 * this thread and no timer could fire. `secrets` are arguments that must not
 * appear in messages. `now` is a monotonic clock in milliseconds. Never rejects.
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

/** The fault of a function that answered something else. */
export function blame(why: string): { ok: false; fault: HookFault } {
  return { ok: false, fault: { why } };
}
