import { blame, callHook, type HookAnswer } from "../hook/call-hook.ts";
import { WebhookFault } from "../hook/webhook.ts";
import type { HookVerdict } from "../policy/policy.ts";
import type { Via } from "../policy/decision.ts";

/** Asks a function or a webhook for a verdict. It must answer within `ms` milliseconds, with a well-formed verdict. */
export async function askVerdict(ask: () => unknown, ms: number): Promise<HookAnswer<HookVerdict>> {
  const asked = await callHook(ask, ms);
  if (!asked.ok) return asked;
  const { answer } = asked;
  if (answer instanceof WebhookFault) return { ok: false, fault: { what: "webhook", why: answer.why } };
  return isVerdict(answer) ? { ok: true, answer } : blame("answered with no verdict");
}

/** Asks a function for a route. It must answer within `ms` milliseconds, with a list of names. */
export async function askVia(ask: () => unknown, ms: number): Promise<HookAnswer<Via>> {
  const asked = await callHook(ask, ms);
  if (!asked.ok) return asked;
  return isVia(asked.answer) ? { ok: true, answer: asked.answer } : blame("answered with no route");
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
