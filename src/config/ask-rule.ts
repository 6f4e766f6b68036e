import { flag } from "./fields.ts";
import type { Problem } from "./problem.ts";
import { field, type WrittenRule } from "./rule-field.ts";

/** The field of a rule that asks an operator. */
export const askField = field({
  schema: flag()
    .describe(
      "Ask an operator, and allow what is approved: the connection waits, at most for `timeouts.ask`. It is answered at the sidecar (`POST /approvals/ID`, its page, `penstock approvals`), which has to be set. Rules that ask come after all others: only what no rule decides is asked for. An approval opens no special-purpose address. With `via` and other fields it goes as they say. See `docs/approvals.md`.",
    )
    .optional(),
  allows: true,
  findConflicts: (ask, rule) =>
    ask !== true
      ? []
      : (["allow", "allowPrivate"] as const)
          .filter((name) => rule[name] === true)
          .map((name) => ({
            path: [],
            message:
              name === "allow"
                ? 'The rule allows in any case. Leave out "allow" or "ask".'
                : 'An approval opens no special-purpose addresses. Leave out "allowPrivate" or "ask".',
          })),
  compile: (ask) => (ask ? { terms: { ask } } : {}),
  explain: ({ ask }) => (ask ? "only what an operator approves" : undefined),
});

function asks(rule: unknown): boolean {
  return typeof rule === "object" && rule !== null && "ask" in rule && rule.ask === true;
}

/** Rules that decide, after one that asks: it would ask for what they decide. */
export function findOrderConflicts(rules: readonly unknown[]): Problem[] {
  const first = rules.findIndex(asks);
  if (first < 0) return [];
  const name = nameOf(rules[first] as WrittenRule, first);
  return rules.flatMap((rule, at) =>
    at < first || asks(rule)
      ? []
      : {
          path: ["rules", at],
          message: `The rule ${JSON.stringify(name)} before it asks an operator, who would be asked for what this one decides. Write rules that ask after all others.`,
        },
  );
}

function nameOf({ name }: WrittenRule, at: number): string {
  return typeof name === "string" ? name : `rule-${at + 1}`;
}

/** Rules or a default that ask, where nobody can answer. */
export function findUnanswerable(rules: unknown, fallback: unknown, hasSidecar: boolean): Problem[] {
  if (hasSidecar) return [];
  const at = Array.isArray(rules) ? rules.findIndex(asks) : -1;
  const message = 'Nobody can answer: an operator does at the sidecar. Set "sidecar", with a "token".';
  return [
    ...(at < 0 ? [] : [{ path: ["rules", at, "ask"], message }]),
    ...(fallback === "ask" ? [{ path: ["default"], message }] : []),
  ];
}
