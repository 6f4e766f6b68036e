import type { Reported } from "../policy/decision.ts";
import { writeReportedLine } from "../read/reply.ts";
import { findReportedForwarding } from "../tunnel/judge-inside.ts";
import type { RequestRecord } from "./request-record.ts";

/**
 * Why a request would have been refused that a report let through; undefined when it would not have been. Follows
 * from the decision and from what was seen inside a tunnel, so that nothing is stored, and requests that are
 * alike are recorded alike.
 */
export function findReported({
  decision,
  inside,
  scheme,
}: Pick<RequestRecord, "decision" | "inside" | "scheme">): Reported | undefined {
  if (decision?.verdict !== "allow") return undefined;
  const { reported, rule } = decision;
  if (reported !== undefined) return reported;
  if (inside?.reported !== undefined) return { rule, detail: inside.reported.detail };
  if (scheme === undefined) return undefined;
  // A forwarded request is HTTP.
  const breach = findReportedForwarding(decision);
  return breach && { rule, detail: breach.detail };
}

/** The line of a response that says so. */
export function describeReported(record: RequestRecord): string | undefined {
  const reported = findReported(record);
  return reported && writeReportedLine(record.runtime.agent, reported);
}
