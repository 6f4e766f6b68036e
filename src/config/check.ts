import type * as z from "zod";

import { type Parts, parseParts } from "./parts.ts";
import type { Problem } from "./problem.ts";
import { type Config, configSchema } from "./schema.ts";

/** A configuration that the schema accepts; or everything that is wrong with it, and the parts that are not. */
export type CheckedConfig =
  | { readonly ok: true; readonly value: Config }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly parts: Parts<Config> };

/** Checks a configuration as written. Reports everything that is wrong at once. */
export function checkConfig(raw: unknown): CheckedConfig {
  const parsed = parseParts(configSchema, raw);
  return parsed.ok ? parsed : { ok: false, problems: describeIssues(parsed.issues), parts: parsed.parts };
}

function describeIssues(issues: readonly z.core.$ZodIssue[]): Problem[] {
  const problems = issues.flatMap(describeIssue);
  // A number that is beyond all bounds breaks two of them, in the same words.
  return problems.filter(
    ({ path, message }, at) =>
      message !== problems[at - 1]?.message || path.join("\n") !== problems[at - 1]?.path.join("\n"),
  );
}

/** One problem for each unknown setting. */
function describeIssue(issue: z.core.$ZodIssue): Problem[] {
  const { path, message } = issue;
  if (issue.code !== "unrecognized_keys") return [{ path, message }];
  const lines = message.split("\n");
  return issue.keys.map((key, at) => ({ path: [...path, key], message: lines[at] ?? message }));
}
