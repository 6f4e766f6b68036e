import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { compileForTest } from "../../support/compile-for-test.ts";

const sidecar = { port: 0, token: "0123456789abcdef" };

function listProblems(raw: object): string[] {
  const checked = checkConfig({ sidecar, ...raw });
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

describe("rules that ask", () => {
  test("come after all others, functions included", () => {
    expect(
      listProblems({ rules: [{ to: ["a.example"], deny: true }, { ask: true }, { ask: true, via: "direct" }] }),
    ).toEqual([]);
    const wrong =
      "before it asks an operator, who would be asked for what this one decides. Write rules that ask after all others.";
    expect(listProblems({ rules: [{ ask: true }, { to: ["a.example"], deny: true }, () => undefined] })).toEqual([
      `rules[1]: The rule "rule-1" ${wrong}`,
      `rules[2]: The rule "rule-1" ${wrong}`,
    ]);
  });

  test("open no special-purpose addresses, and do not allow in any case", () => {
    expect(listProblems({ rules: [{ ask: true, allowPrivate: true }] })).toEqual([
      'rules[0].ask: An approval opens no special-purpose addresses. Leave out "allowPrivate" or "ask".',
    ]);
    expect(listProblems({ rules: [{ ask: true, allow: true }] })).toEqual([
      'rules[0].ask: The rule allows in any case. Leave out "allow" or "ask".',
    ]);
  });

  test("need a sidecar, where somebody can answer, and so does the default", () => {
    const message = 'Nobody can answer: an operator does at the sidecar. Set "sidecar", with a "token".';
    expect(listProblems({ rules: [{ ask: true }], sidecar: undefined })).toEqual([`rules[0].ask: ${message}`]);
    expect(listProblems({ default: "ask", sidecar: undefined })).toEqual([`default: ${message}`]);
    expect(listProblems({ default: "ask", upstream: "http://proxy.example:3128" })).toEqual([]);
  });

  test("take no cache for a webhook that is only told", () => {
    const notify = { url: "https://hooks.example/", cache: "1m" };
    expect(listProblems({ approvals: { notify } })).toEqual([
      'approvals.notify.cache: There is no such setting. Known here: "url", "timeout", "headers", "ca".',
    ]);
  });

  test.each([
    ["http://hooks.example/", 1],
    ["https://hooks.example/", 0],
    ["http://127.0.0.1:8080/", 0],
  ])("warn of questions that go without TLS to another machine: %s", (url, count) => {
    const { warnings } = compileForTest({ rules: [{ ask: true }], sidecar, approvals: { notify: { url } } });
    expect(warnings.map(formatProblem)).toEqual(
      Array(count).fill(
        'approvals.notify.url: The webhook is asked without TLS: whoever is on the way can read who asks for what, and the secrets in "headers". Write "https://", or a service on this machine.',
      ),
    );
  });
});
