import type * as z from "zod";

import { FAULT_MARK } from "./fields.ts";
import type { Problem } from "./problem.ts";

type Issue = z.core.$ZodIssue;

/**
 * Turns what zod found into problems: one for each unknown setting, and for a
 * value that may have several forms the problems of the form that was meant.
 */
export function describeIssues(issues: readonly Issue[], base: readonly PropertyKey[] = []): Problem[] {
  const problems = issues.flatMap((issue) => describeIssue(issue, base));
  // A number that is beyond all bounds breaks two of them, in the same words.
  return problems.filter(
    ({ path, message }, at) =>
      message !== problems[at - 1]?.message ||
      path.map(String).join("\n") !== problems[at - 1]?.path.map(String).join("\n"),
  );
}

function describeIssue(issue: Issue, base: readonly PropertyKey[]): Problem[] {
  const path = [...base, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    const lines = issue.message.split("\n");
    return issue.keys.map((key, at) => ({
      path: [...path, key],
      message: lines[at] ?? issue.message,
    }));
  }
  if (issue.code === "invalid_union") {
    const meant = issue.errors.find((branch) => !isOfOtherType(branch));
    if (meant) return describeIssues(meant, path);
  }
  return [{ path, message: issue.message }];
}

/** Whether a form of a union failed for the mere type of the value: then it was not the form that was meant. */
function isOfOtherType(issues: readonly Issue[]): boolean {
  return issues.some(
    (issue) =>
      issue.path.length === 0 &&
      (issue.code === "invalid_type" ||
        // What is no function is told by a custom issue without the mark.
        (issue.code === "custom" && issue.params?.[FAULT_MARK] === undefined)),
  );
}
