import { describeThrown } from "./describe-thrown.ts";

/** What is wrong with how a function of the configuration answered, for people. */
export interface HookFault {
  /** Goes on from the name of the function: `threw`, `did not answer in 5000 ms`. Without anything of its making. */
  readonly why: string;
  /** What it threw, without secrets; for the operator alone. */
  readonly thrown?: string;
}

export type HookAnswer<T> =
  { readonly ok: true; readonly answer: T } | { readonly ok: false; readonly fault: HookFault };

/**
 * Calls a function of the configuration and gives it `ms` milliseconds. It is
 * somebody else's code: it may throw, reject, or never answer. What it says
 * after its time is ignored. `secrets` are what it was told and must not be
 * repeated. Never rejects.
 */
export function callHook(
  call: () => unknown,
  ms: number,
  secrets: readonly string[] = [],
): Promise<HookAnswer<unknown>> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(blame(`did not answer in ${ms} ms`)), ms);
    const settle = (result: HookAnswer<unknown>) => {
      clearTimeout(timer);
      resolve(result);
    };
    new Promise((answer) => answer(call())).then(
      (answer) => settle({ ok: true, answer }),
      (error: unknown) => settle({ ok: false, fault: { why: "threw", thrown: describeThrown(error, secrets) } }),
    );
  });
}

/** The answer of a function that did answer, but with something else. */
export function blame(why: string): { ok: false; fault: HookFault } {
  return { ok: false, fault: { why } };
}
