import { blame, callHook, type HookAnswer } from "../hook/call-hook.ts";
import type { UserCheck } from "./user-store.ts";

/** Asks a function of the configuration whether the password is the user's, for at most `deadlineMs` milliseconds. */
export async function runUserCheck(
  check: UserCheck,
  user: string,
  password: string,
  deadlineMs: number,
): Promise<HookAnswer<boolean>> {
  const asked = await callHook(() => check(user, password), deadlineMs, [password]);
  if (!asked.ok) return asked;
  // The type says boolean; a configuration in plain JavaScript may say anything.
  return typeof asked.answer === "boolean" ? { ok: true, answer: asked.answer } : blame("answered with no boolean");
}
