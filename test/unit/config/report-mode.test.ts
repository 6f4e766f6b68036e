import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import type { PenstockConfig } from "../../../src/config/schema.ts";
import { compileForTest } from "../../support/compile-for-test.ts";

function findProblems(rule: Record<string, unknown>): string[] {
  const checked = checkConfig({ rules: [rule] });
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

function compile(config: PenstockConfig) {
  return compileForTest(config);
}

describe('"report" of a rule', () => {
  test.each([
    { deny: true },
    { webhook: { url: "https://policy.example/" } },
    { sni: "match" },
    { protocols: ["ssh"] },
    { tls: { min: "1.2" } },
    { ech: "deny" },
  ])("goes with %p", (rule) => {
    expect(findProblems({ ...rule, report: true })).toEqual([]);
  });

  test.each([{ allow: true }, { via: "direct" }, { allowPrivate: true }])(
    "is refused in a rule that refuses nothing: %p",
    (rule) => {
      expect(findProblems({ ...rule, report: true })).toEqual([
        'rules[0].report: The rule refuses nothing that could be reported. Leave out "report", or set "deny", "ask", "webhook", or what tunnels have to hold ("protocols", "sni", "tls", "ja4", "ech").',
      ]);
    },
  );

  test("has a webhook, and a rule that asks, report as in report mode, and no other rule", () => {
    const { runtime } = compile({
      sidecar: { port: 0, token: "0123456789abcdef" },
      rules: [
        { to: ["a.example"], webhook: { url: "https://policy.example/" }, report: true },
        { to: ["b.example"], deny: true },
        { ask: true, report: true },
      ],
    });
    const { rules, asks } = runtime.policy;
    expect(rules.map(({ reports }) => reports)).toEqual([true, undefined, true]);
    expect(asks).toBe(false);
    expect(rules[2]?.matched).toMatchObject({
      decision: { verdict: "allow", reported: { rule: "rule-3", detail: "approval_missing" } },
    });
  });

  test("alone makes no rule", () => {
    expect(findProblems({ report: true }).join()).toContain("The rule does nothing.");
  });
});

describe('"mode"', () => {
  test("is told loudly where the rules refuse nothing, and only there", () => {
    const told = (mode: "report" | "enforce") => compile({ mode, default: "deny" }).warnings.map(formatProblem);
    expect(told("report").join()).toContain('mode: THE RULES REFUSE NOTHING: with "report"');
    expect(told("enforce")).toEqual([]);
  });

  test("has every rule report, and the default", () => {
    const { runtime } = compile({
      mode: "report",
      default: "deny",
      rules: [{ to: ["a.example"], deny: true }, { to: ["b.example"], sni: "match" }, () => undefined],
    });
    const { rules, fallback } = runtime.policy;
    expect(fallback).toEqual({ kind: "deny", reports: true });
    expect(rules.map(({ reports }) => reports)).toEqual([true, undefined, true]);
    expect(rules[1]?.verdict).toMatchObject({ inside: { sni: "match", reports: true } });
  });

  test("is no other word", () => {
    const checked = checkConfig({ mode: "audit" });
    expect(checked.ok ? [] : checked.problems.map(formatProblem)).toEqual([
      'mode: Found "audit". Write one of "enforce", "report".',
    ]);
  });

  test("does not call what comes after a rule that only reports unreachable", () => {
    const config: PenstockConfig = {
      rules: [
        { deny: true, report: true },
        { to: ["a.example"], via: "direct" },
      ],
    };
    expect(compile(config).warnings).toEqual([]);
    expect(compile({ ...config, rules: [{ deny: true }, { to: ["a.example"], via: "direct" }] }).warnings).toHaveLength(
      1,
    );
  });
});
