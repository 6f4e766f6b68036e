import { describe, expect, test } from "bun:test";

import { explainBoth } from "../../../src/explain/explain-target.ts";
import { runCli } from "../../../src/cli/run-cli.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { createFakeIo } from "../../support/fake-io.ts";
import { createFakeResolver } from "../../support/fake-resolver.ts";
import { makeEndpoint } from "../../support/make-endpoint.ts";
import { makeIp } from "../../support/make-policy.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const resolver = createFakeResolver({
  "packages.example": ["192.0.2.7"],
  "mixed.example": ["10.0.0.1", "192.0.2.1"],
  "far.example": ["192.0.2.9"],
});

const policy = {
  users: [
    { name: "ci", password: "x" },
    { name: "ann", password: "y" },
  ],
  auth: { parameters: ["country"] },
  upstreams: { corp: "http://10.9.9.9:3128" },
  default: "deny",
  rules: [
    { name: "blocked", to: ["*.evil.example", "198.51.100.7"], deny: true },
    { name: "office", from: ["10.0.0.0/8"], users: ["ann"], to: ["packages.example:80,8000-8999"], allow: true },
    { name: "germans", parameters: { country: ["de", "at"] }, allow: true },
    { name: "passing", to: ["mixed.example"] },
    { name: "inside", to: ["10.0.0.0/8"], allowPrivate: true },
    { name: "packages", users: ["ci"], to: ["packages.example", "mixed.example"], via: "corp", sni: "match" },
    { name: "late", to: ["packages.example"], allow: true },
    { name: "late-range", to: ["192.0.2.0/24"], deny: true },
  ].map((rule) => (rule.name === "passing" ? () => undefined : rule)),
};

async function explainRules(target: string, user?: string, allRules = false, written: unknown = policy) {
  const question = { client: makeIp("192.0.2.44"), user, target: makeEndpoint(target), allRules };
  const { lines, json } = await explainBoth(compileForTest(written), resolver, question);
  const start = lines.findIndex((line) => line.startsWith("rules:"));
  return { lines: start < 0 ? [] : lines.slice(start).map((line) => line.slice(9)), json };
}

describe("penstock explain says why each rule did or did not match", () => {
  test("with every condition that differs, and what comes after the rule that decides", async () => {
    const { lines, json } = await explainRules("packages.example:443", "ci-country-fr");
    expect(lines).toEqual([
      '1. no: blocked (deny): "to" does not have packages.example',
      '2. no: office (allow): "from" does not have 192.0.2.44; "users" does not have ci; "to" has packages.example only with port 80, 8000-8999',
      "3. no: germans (allow): the parameter country is fr, not de, at",
      "4. yes: rule-4 (a function): matches, but its function passes on",
      '5. no: inside (allow; private addresses): "to" does not have packages.example',
      "6. yes: packages (via corp; only tls; SNI as the target): decides; then judges the first bytes inside the tunnel",
      "7. yes: late (allow): matches, but an earlier rule decides",
      "8. yes: late-range (deny): matches, but an earlier rule decides",
      "default (deny): not reached",
    ]);
    expect(json["rules"]).toContainEqual({
      rule: 3,
      name: "germans",
      verdict: "allow",
      outcome: "differs",
      why: "the parameter country is fr, not de, at",
      mismatches: [{ field: "parameters", parameter: "country", found: "fr", wanted: ["de", "at"] }],
      addresses: [],
    });
    expect(json["rules"]).toContainEqual(expect.objectContaining({ rule: 6, name: "packages", outcome: "decides" }));
  });

  test("for nobody, and for the default", async () => {
    const { lines } = await explainRules("far.example:443");
    expect(lines).toContain("3. no: germans (allow): the user name has no parameter country");
    expect(lines).toContain(
      '6. no: packages (via corp; only tls; SNI as the target): "users" needs a user, and there is none; "to" does not have far.example',
    );
    expect(lines.at(-2)).toBe("8. yes: late-range (deny): decides");
    expect((await explainRules("[2001:db8::1]:443")).lines.at(-1)).toBe("default (deny): decides");
  });

  test("for the addresses of a name, each by itself", async () => {
    const { lines } = await explainRules("mixed.example:443", "ann");
    expect(lines).toContain("5. yes: inside (allow; private addresses): decides, for 10.0.0.1");
    expect(lines).toContain("8. yes: late-range (deny): matches, but an earlier rule decides");
  });

  test("for a name that does not resolve", async () => {
    const allowing = { rules: [{ to: ["10.0.0.0/8"], allow: true }], default: "deny" };
    expect((await explainRules("nowhere.example:443", undefined, false, allowing)).lines).toEqual([
      "1. no: rule-1 (allow): needs the addresses of nowhere.example, which does not resolve",
      "default (deny): decides",
    ]);
    const denying = { rules: [{ to: ["10.0.0.0/8"], deny: true }] };
    expect((await explainRules("nowhere.example:443", undefined, false, denying)).lines).toEqual([
      "1. ?: rule-1 (deny): needs the addresses of nowhere.example, which are not known",
      "default (direct): not reached",
    ]);
  });

  test("for the first 20 rules and the one that decides, or for all", async () => {
    const rules = Array.from({ length: 60 }, (_, at) => ({ to: [`host${at}.example`], deny: true }));
    const long = { rules };
    const { lines, json } = await explainRules("host49.example:443", undefined, false, long);
    expect(lines.slice(19)).toEqual([
      '20. no: rule-20 (deny): "to" does not have host49.example',
      "29 more rules: --all shows all of them",
      "50. yes: rule-50 (deny): decides",
      "10 more rules: --all shows all of them",
      "default (direct): not reached",
    ]);
    expect(json).toMatchObject({ rules_left_out: 39, rules: { length: 21 } });
    const all = await explainRules("host49.example:443", undefined, true, long);
    expect(all.lines).toHaveLength(61);
    expect(all.json["rules_left_out"]).toBeUndefined();
    await using folder = await makeFolder({ "proxy.config.json": JSON.stringify(long) });
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["explain", "host49.example:443", "--all"], io)).toBe(1);
    expect(
      io
        .printed()
        .split("\n")
        .filter((line) => /^.{9}\d+\. /.test(line)),
    ).toHaveLength(60);
  });

  test("with nothing that a terminal would obey", async () => {
    const { lines } = await explainRules("a.example:1", "\u001b[2Jeve");
    expect(lines.join("")).not.toContain("\u001b");
  });
});

describe("penstock explain, where refusals are only reported or a webhook decides,", () => {
  const reported = {
    rules: [
      { name: "no-ads", to: ["*.ads.example"], deny: true, report: true },
      { name: "hooked", to: ["hook.example"], webhook: { url: "http://127.0.0.1:9/" } },
      { name: "known", to: ["*.example"], via: "direct" },
    ],
    default: "deny",
  };
  const resolving = createFakeResolver({ "x.ads.example": ["192.0.2.7"], "packages.example": ["192.0.2.7"] });
  const explain = async (target: string, written: unknown = reported) => {
    const question = { client: makeIp("192.0.2.44"), user: undefined, target: makeEndpoint(target), allRules: false };
    return explainBoth(compileForTest(written), resolving, question);
  };

  test("names the rule that would refuse, and what lets it through", async () => {
    const { lines, json } = await explain("x.ads.example:443");
    expect(lines).toContainEqual(
      "reported: would be refused by rule 1 (no-ads), denied_by_rule; let through and recorded",
    );
    expect(lines.join("\n")).toContain("no-ads (deny, only reported)");
    expect(lines.join("\n")).toContain("would deny, which is only reported");
    expect(json).toMatchObject({ rule: "known", reported: "denied_by_rule", reported_rule: "no-ads" });
  });

  test("says the same of the default in report mode", async () => {
    const { lines, json } = await explain("other.test:443", { mode: "report", default: "deny" });
    expect(json).toMatchObject({ rule: "default", reported: "denied_by_default", reported_rule: "default" });
    expect(lines).toContainEqual("reported: would be refused by default, denied_by_default; let through and recorded");
  });

  test("says that the webhook is asked, and refuses as the proxy does when it gives no answer", async () => {
    const { lines, json } = await explain("hook.example:443");
    expect(lines.join("\n")).toContain("hooked (a webhook)");
    expect(lines.join("\n")).toContain("its webhook is asked");
    expect(json).toMatchObject({ rule: "hooked", detail: "hook_failed" });
  });
});
