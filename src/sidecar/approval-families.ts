import type { ApprovalCounts } from "../approvals/approval-table.ts";
import { counter, type Family, gauge } from "./prometheus-text.ts";

const ANSWERS = ["allow_once", "allow_10m", "allow_always", "deny_once", "deny_10m"] as const;

/** Puts what operators are asked into families. */
export function collectApprovalFamilies(counts: ApprovalCounts): Family[] {
  const { waiting, open, asked, timedOut, full, answered } = counts;
  return [
    gauge("penstock_approvals_waiting", "Connections that wait for an operator.", waiting),
    gauge("penstock_approvals_open", "Questions to operators without an answer.", open),
    counter("penstock_approvals_asked_total", "Questions to operators; equal ones are one.", asked),
    counter(
      "penstock_approvals_answered_total",
      "Answers of operators.",
      ANSWERS.map((answer) => ({ labels: { answer }, value: answered[answer] ?? 0 })),
    ),
    counter("penstock_approvals_timed_out_total", "Connections that got no answer in time.", timedOut),
    counter("penstock_approvals_full_total", "Connections that had no place to wait.", full),
  ];
}
