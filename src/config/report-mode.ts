import type { Rule } from "../proxy/policy/policy.ts";
import { flag, word } from "./fields.ts";
import type { Problem } from "./problem.ts";
import { field, type WrittenRule } from "./rule-field.ts";

type Mode = "enforce" | "report";

/** Fields of rules that make demands on what is inside a tunnel, which `report` can only report. */
const demands = ["protocols", "sni", "tls", "ja4", "ech"];

/** Whether a rule can refuse something. */
function refuses(rule: WrittenRule): boolean {
  return (
    rule["deny"] === true || rule["ask"] === true || [...demands, "webhook"].some((name) => rule[name] !== undefined)
  );
}

/** `mode`: whether the rules refuse. */
export const modeSchema = word(["enforce", "report"])
  .describe(
    'Whether rules and `default` refuse. With `"report"` they let through what they would refuse, and record it with the word that the refusal would have had (`reported` in the access log and in events, `penstock_reported_total`, `Proxy-Status`); `penstock learn` writes rules from that. What was let through so gets a public target and its route, and nothing else: private and other special-purpose addresses stay refused, no rule adds fields to it. Authentication, `clients`, limits, malformed messages, secrets that would go in clear and functions that choose a route are enforced in any case.',
  )
  .default("enforce");

/** `report` of a rule. */
export const reportField = field({
  schema: flag()
    .describe(
      "Record what the rule would refuse, and do not refuse it. A rule with `deny` passes on to the next rule, as if it were not there; but what it matches reaches no private or other special-purpose address, and gets no fields that a later rule adds. A rule with `webhook` does so where that refuses or gives no answer, and one with `ask` lets through what it would ask for, and asks nobody. A rule with `protocols`, `sni`, `tls`, `ja4` or `ech` lets the tunnel go on. Default: false.",
    )
    .optional(),
  findConflicts: (report, rule) =>
    report !== true || refuses(rule)
      ? []
      : [
          {
            path: [],
            message:
              'The rule refuses nothing that could be reported. Leave out "report", or set "deny", "ask", "webhook", or what tunnels have to hold ("protocols", "sni", "tls", "ja4", "ech").',
          },
        ],
  compile: (reports) => (reports ? { reports } : {}),
  explain: ({ inside }) => (inside?.reports ? "what breaches this is only reported" : undefined),
});

/** The rules as they hold under `mode`: with `report` each of them only reports what it would refuse. */
export function applyMode(rules: readonly Rule[], mode: Mode): Rule[] {
  return mode === "report" ? rules.map(onlyReport) : [...rules];
}

function onlyReport(rule: Rule): Rule {
  const { verdict } = rule;
  if (verdict.kind !== "allow") return { ...rule, reports: true };
  const asking = verdict.ask ? { ...rule, reports: true as const } : rule;
  if (verdict.inside === undefined) return asking;
  return { ...asking, verdict: { ...verdict, inside: { ...verdict.inside, reports: true } } };
}

/** What to say, at every start, of rules that do not refuse. */
export function findReportWarnings({ mode }: { readonly mode: Mode }): Problem[] {
  if (mode !== "report") return [];
  const message =
    'THE RULES REFUSE NOTHING: with "report", what they and "default" would refuse is let through and recorded. Set "enforce" when the rules are right.';
  return [{ path: ["mode"], message }];
}
