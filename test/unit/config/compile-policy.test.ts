import { describe, expect, test } from "bun:test";

import { evaluate } from "../../../src/proxy/policy/evaluate.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { makeQuery, makeServerNames } from "../../support/make-policy.ts";

describe("compileConfig() on rules", () => {
  test("compiles every form of a rule", () => {
    const policy = compileForTest({
      users: [{ name: "ci", password: "x" }],
      upstreams: { corp: "socks5://h", exit: "socks5://i" },
      rules: [
        { name: "no-mail", to: ["*:25"], deny: true },
        { users: ["ci"], to: ["*.npmjs.org:443"], via: "corp" },
        { from: ["::1"], to: ["10.0.0.0/8"], allowPrivate: true, sourceAddress: "10.0.0.9" },
        { via: ["corp", "exit"], allow: true },
        { via: "direct" },
        { via: ["direct"] },
      ],
    }).runtime.policy;
    expect(policy.rules.map(({ name, verdict }) => [name, verdict])).toEqual([
      ["no-mail", { kind: "deny" }],
      ["rule-2", { kind: "allow", allowPrivate: false, via: ["corp"] }],
      ["rule-3", { kind: "allow", allowPrivate: true, via: undefined, sourceAddress: "10.0.0.9" }],
      ["rule-4", { kind: "allow", allowPrivate: false, via: ["corp", "exit"] }],
      ["rule-5", { kind: "allow", allowPrivate: false, via: [] }],
      ["rule-6", { kind: "allow", allowPrivate: false, via: [] }],
    ]);
    const ruleOf = (...query: Parameters<typeof makeQuery>) => evaluate(policy, makeQuery(...query));
    expect(ruleOf("a.example:25")).toMatchObject({ decision: { rule: "no-mail" } });
    expect(ruleOf("a.npmjs.org:443", { user: "ci" })).toMatchObject({ decision: { rule: "rule-2" } });
    expect(ruleOf("a.npmjs.org:443", { user: "cd" })).toMatchObject({ decision: { rule: "rule-4" } });
    expect(ruleOf("10.0.0.1:443", { client: "::1" })).toMatchObject({ decision: { rule: "rule-3" } });
    expect(ruleOf("10.0.0.1:443", { client: "::2" })).toMatchObject({ decision: { rule: "rule-4" } });
  });

  test("compiles what a rule demands of what is inside; a demand of TLS means TLS alone unless more is listed", () => {
    const { rules } = compileForTest({
      rules: [
        { sni: "match" },
        { sni: ["*", "One.Example", "*.bücher.example"], protocols: ["tls", "ssh"] },
        { tls: { min: "1.2" }, ja4: ["t13d1516h2_8daaf6152771_e5627efa2ab1"] },
        { protocols: ["unknown"] },
        { allow: true },
      ],
    }).runtime.policy;
    expect(rules.map(({ verdict }) => (verdict.kind === "allow" ? verdict.inside : verdict))).toEqual([
      { protocols: new Set(["tls"]), sni: "match" },
      {
        protocols: new Set(["tls", "ssh"]),
        sni: makeServerNames("*", "One.Example", "*.bücher.example"),
      },
      { protocols: new Set(["tls"]), minVersion: 0x0303, ja4: new Set(["t13d1516h2_8daaf6152771_e5627efa2ab1"]) },
      { protocols: new Set(["unknown"]) },
      undefined,
    ]);
  });

  test("compares server names in their canonical form", () => {
    const [rule] = compileForTest({ rules: [{ sni: ["One.Example", "*.bücher.example"] }] }).runtime.policy.rules;
    const names = rule?.verdict.kind === "allow" ? rule.verdict.inside?.sni : undefined;
    if (typeof names !== "object") throw new Error("A list of names is a set of names");
    expect(["one.example", "a.xn--bcher-kva.example"].map((name) => names.has(name))).toEqual([true, true]);
    expect(["a.one.example", "xn--bcher-kva.example"].map((name) => names.has(name))).toEqual([false, false]);
  });

  test.each([
    ["direct", { kind: "allow", via: [] }],
    ["deny", { kind: "deny" }],
    ["corp", { kind: "allow", via: ["corp"] }],
    [["corp", "exit"], { kind: "allow", via: ["corp", "exit"] }],
  ])("compiles the default %p", (fallback, wanted) => {
    const upstreams = { corp: "socks5://h", exit: "socks5://i" };
    expect<unknown>(compileForTest({ upstreams, default: fallback }).runtime.policy.fallback).toEqual(wanted);
  });

  const query = {
    client: "192.0.2.1",
    user: undefined,
    parameters: {},
    host: "example.org",
    port: 443,
    method: undefined,
    path: undefined,
  };

  async function ask(hook: unknown) {
    const [rule] = compileForTest({ rules: [hook] }).runtime.policy.rules;
    if (rule?.verdict.kind !== "hook") throw new Error("A function is a hook");
    return rule.verdict.ask(query);
  }

  test("lets a rule that is a function answer with a way as the file writes it", async () => {
    expect(await ask(() => undefined)).toBeUndefined();
    expect(await ask(() => ({ deny: true }))).toEqual({ deny: true });
    expect(await ask(() => ({ allow: true }))).toEqual({ allow: true });
    expect(await ask(() => ({ allow: true, via: "corp" }))).toEqual({ allow: true, via: ["corp"] });
    expect(await ask(async () => ({ allow: true, via: "direct", allowPrivate: true }))).toEqual({
      allow: true,
      allowPrivate: true,
      via: [],
    });
  });

  test("gives the webhook of a rule 5 s, whatever functions have", () => {
    const webhook = { url: "https://policy.example/decide" };
    const { policy } = compileForTest({ timeouts: { hook: "1s" }, rules: [{ webhook }] }).runtime;
    // Once to wait for its turn and once for the answer, and a second.
    expect(policy.rules[0]?.verdict).toMatchObject({ webhook: { longestMs: 11_000 } });
  });

  test("hands what is no verdict on as it is, for the policy to refuse", async () => {
    expect<unknown>(await ask(() => "yes")).toBe("yes");
    expect<unknown>(await ask(async () => null)).toBeNull();
    expect<unknown>(await ask(() => ({ allow: "yes", via: 5 }))).toEqual({ allow: "yes", via: 5 });
  });

  test("takes one function for all rules", () => {
    expect(compileForTest({ rules: () => undefined }).runtime.policy.rules.map((rule) => rule.name)).toEqual(["rules"]);
  });

  test("lets a function choose the way of a rule", async () => {
    const [rule] = compileForTest({ rules: [{ via: async (asked: typeof query) => asked.host }] }).runtime.policy.rules;
    const via = rule?.verdict.kind === "allow" ? rule.verdict.via : undefined;
    expect(typeof via === "function" && (await via(query))).toEqual(["example.org"]);
  });
});
