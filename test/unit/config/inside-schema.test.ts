import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";

function findProblems(rule: Record<string, unknown>): string[] {
  const checked = checkConfig({ rules: [rule] });
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

describe("what a rule demands of what is inside", () => {
  test.each([
    { sni: "match" },
    { sni: ["*", "example.org", "*.example.org"] },
    { sni: ["*.example.org"], protocols: ["tls", "ssh"] },
    { tls: { min: "1.0" } },
    { ja4: ["t13d1516h2_8daaf6152771_e5627efa2ab1", "t12i020400_d30dd38cd76f_847bbcdea70d"] },
    { protocols: ["tls", "http", "ssh", "smtp", "unknown"] },
  ])("may be %p", (rule) => {
    expect(findProblems(rule)).toEqual([]);
  });

  test.each([
    [{ sni: "example.org" }, "rules[0].sni: "],
    [{ sni: [] }, "rules[0].sni: Found an empty list."],
    [{ sni: ["example.org:443"] }, 'rules[0].sni[0]: "example.org:443" is no server name.'],
    [{ sni: ["example.org:*"] }, 'rules[0].sni[0]: "example.org:*" is no server name.'],
    [{ sni: ["10.0.0.0/8"] }, 'rules[0].sni[0]: "10.0.0.0/8" is no server name.'],
    [{ sni: ["a.*.example"] }, 'rules[0].sni[0]: "a.*.example" has a star in the middle.'],
    [{ tls: {} }, "rules[0].tls.min: Required."],
    [{ tls: { min: "1.4" } }, 'rules[0].tls.min: Found "1.4".'],
    [{ ja4: ["771,4865,0"] }, 'rules[0].ja4[0]: "771,4865,0" is not a JA4 fingerprint.'],
    [{ protocols: ["ftp"] }, 'rules[0].protocols[0]: Found "ftp".'],
  ])("may not be %p", (rule, message) => {
    expect(findProblems(rule)[0]).toStartWith(message);
  });
});
