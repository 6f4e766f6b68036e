import type { UserCheck } from "./user-store.ts";

/** `failed`: it threw, was too slow, or gave something that is not a boolean. */
export type UserCheckResult = "accepted" | "refused" | "failed";

/** Asks a function of the configuration, for at most `deadlineMs`. An answer that comes later is ignored. */
export async function runUserCheck(
  check: UserCheck,
  user: string,
  password: string,
  deadlineMs: number,
): Promise<UserCheckResult> {
  let deadline: Timer | undefined;
  const tooSlow = new Promise<"failed">((resolve) => {
    deadline = setTimeout(() => resolve("failed"), deadlineMs);
  });
  try {
    return await Promise.race([ask(check, user, password), tooSlow]);
  } finally {
    clearTimeout(deadline);
  }
}

/** Never rejects, so an answer after the deadline cannot become an unhandled rejection. */
async function ask(check: UserCheck, user: string, password: string): Promise<UserCheckResult> {
  try {
    // The type says boolean; a configuration in plain JavaScript may say anything.
    const answer: unknown = await check(user, password);
    if (answer === true) return "accepted";
    return answer === false ? "refused" : "failed";
  } catch {
    return "failed";
  }
}
