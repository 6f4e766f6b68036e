import { describeIssues } from "./describe-issue.ts";
import { findConflicts } from "./find-conflicts.ts";
import type { Checked } from "./problem.ts";
import { type Config, configSchema } from "./schema.ts";

/** Checks a configuration as written: every value by itself, and all of them together. */
export function checkConfig(raw: unknown): Checked<Config> {
  const parsed = configSchema.safeParse(raw);
  const problems = [...(parsed.success ? [] : describeIssues(parsed.error.issues)), ...findConflicts(raw)];
  return parsed.success && problems.length === 0 ? { ok: true, value: parsed.data } : { ok: false, problems };
}
