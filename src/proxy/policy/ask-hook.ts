import type { HookVerdict, Via } from "./policy.ts";

/** What came of asking a function of the configuration. `why` is for people. */
export type Asked<T> = { readonly ok: true; readonly answer: T } | { readonly ok: false; readonly why: string };

/** Asks a function for a verdict. It must answer in `ms` milliseconds, and with what a verdict looks like. */
export async function askVerdict(ask: () => unknown, ms: number): Promise<Asked<HookVerdict>> {
  const asked = await askInTime(ask, ms);
  if (!asked.ok) return asked;
  return isVerdict(asked.answer) ? { ok: true, answer: asked.answer } : { ok: false, why: "answered with no verdict" };
}

/** Asks a function which way to go. It must answer in `ms` milliseconds, and with a list of names. */
export async function askVia(ask: () => unknown, ms: number): Promise<Asked<Via>> {
  const asked = await askInTime(ask, ms);
  if (!asked.ok) return asked;
  return isVia(asked.answer) ? { ok: true, answer: asked.answer } : { ok: false, why: "answered with no way" };
}

/**
 * Somebody else's code: it may throw, reject, or never answer. What it says
 * after its time is ignored. What it throws is not told, since it may hold secrets.
 */
function askInTime(ask: () => unknown, ms: number): Promise<Asked<unknown>> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ ok: false, why: `did not answer in ${ms} ms` }), ms);
    const settle = (result: Asked<unknown>) => {
      clearTimeout(timer);
      resolve(result);
    };
    new Promise((answer) => answer(ask())).then(
      (answer) => settle({ ok: true, answer }),
      () => settle({ ok: false, why: "threw" }),
    );
  });
}

function isVerdict(answer: unknown): answer is HookVerdict {
  if (answer === undefined) return true;
  if (typeof answer !== "object" || answer === null) return false;
  if ("deny" in answer) return answer.deny === true && !("allow" in answer);
  if (!("allow" in answer) || answer.allow !== true) return false;
  const allowPrivate = "allowPrivate" in answer ? answer.allowPrivate : undefined;
  const via = "via" in answer ? answer.via : undefined;
  return (allowPrivate === undefined || typeof allowPrivate === "boolean") && (via === undefined || isVia(via));
}

function isVia(answer: unknown): answer is Via {
  return Array.isArray(answer) && answer.every((name) => typeof name === "string");
}
