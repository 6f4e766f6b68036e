import { describe, expect, test } from "bun:test";
import { parseCidr } from "../../../../src/address/cidr.ts";
import { applyVerdict, describeQuery, evaluate } from "../../../../src/proxy/policy/evaluate.ts";
import type { Policy, Rule } from "../../../../src/proxy/policy/policy.ts";
import { allowRule, denyRule, hookRule, makePolicy, makeQuery } from "../../../support/make-policy.ts";
import type { Decision } from "../../../../src/proxy/policy/decision.ts";

function decide(policy: Policy, ...query: Parameters<typeof makeQuery>): Decision {
  const evaluation = evaluate(policy, makeQuery(...query));
  if (evaluation.kind !== "decided") throw new Error(`not decided: ${evaluation.kind}`);
  return evaluation.decision;
}

function ruleOf(policy: Policy, ...query: Parameters<typeof makeQuery>): string {
  return decide(policy, ...query).rule;
}

function givenCountry(rule: Rule, ...values: string[]): Rule {
  return { ...rule, parameters: [{ name: "country", values: new Set(values) }] };
}

function fromRange(rule: Rule, range: string): Rule {
  const parsed = parseCidr(range);
  if (!parsed.ok) throw new Error(parsed.reason);
  return { ...rule, from: [parsed.cidr] };
}

describe("evaluate()", () => {
  test("lets the first rule that matches decide", () => {
    const policy = makePolicy([denyRule("mail", "*:25"), allowRule("all"), denyRule("never")]);
    expect(decide(policy, "example.org:25")).toEqual({ verdict: "deny", rule: "mail", detail: "denied_by_rule" });
    expect(ruleOf(policy, "example.org:26")).toBe("all");
  });

  test("falls back to the default, which may be to deny", () => {
    expect(decide(makePolicy([], { kind: "deny" }), "example.org:443")).toEqual({
      verdict: "deny",
      rule: "default",
      detail: "denied_by_default",
    });
    expect(decide(makePolicy([], { kind: "allow", via: ["corp"] }), "example.org:443")).toEqual({
      verdict: "allow",
      rule: "default",
      allowPrivate: false,
      via: ["corp"],
    });
  });

  test("gives an allowing rule without a way the default way, and none when the default is to deny", () => {
    const rule = allowRule("all");
    expect(decide(makePolicy([rule], { kind: "allow", via: ["corp"] }), "a.example:1")).toMatchObject({
      via: ["corp"],
    });
    expect(decide(makePolicy([rule], { kind: "deny" }), "a.example:1")).toMatchObject({ via: [] });
  });

  test("matches names exactly, and names below a suffix but not the suffix itself", () => {
    const policy = makePolicy([denyRule("name", "example.org"), denyRule("below", "*.example.org")]);
    expect(ruleOf(policy, "example.org:443")).toBe("name");
    expect(ruleOf(policy, "a.example.org:443")).toBe("below");
    expect(ruleOf(policy, "a.b.example.org:443")).toBe("below");
    expect(ruleOf(policy, "badexample.org:443")).toBe("default");
    expect(ruleOf(policy, "example.org.evil.test:443")).toBe("default");
  });

  test("matches ports alone, in ranges and in lists", () => {
    const policy = makePolicy([denyRule("ports", "*:80,8000-8002")]);
    for (const port of [80, 8000, 8001, 8002]) expect(ruleOf(policy, `example.org:${port}`)).toBe("ports");
    for (const port of [79, 81, 7999, 8003]) expect(ruleOf(policy, `example.org:${port}`)).toBe("default");
  });

  test("matches ranges against addresses as targets, of their own family only", () => {
    const policy = makePolicy([denyRule("lab", "10.0.0.0/8", "2001:db8::/32")]);
    expect(ruleOf(policy, "10.255.0.1:443")).toBe("lab");
    expect(ruleOf(policy, "11.0.0.1:443")).toBe("default");
    expect(ruleOf(policy, "[2001:db8::1]:443")).toBe("lab");
    expect(ruleOf(policy, "[::ffff:10.0.0.1]:443")).toBe("lab");
  });

  test("does not match names and suffixes against addresses", () => {
    const policy = makePolicy([denyRule("names", "example.org", "*.example.org")]);
    expect(ruleOf(policy, "192.0.2.1:443")).toBe("default");
  });

  test("matches users, and nobody who has not said who he is", () => {
    const policy = makePolicy([{ ...denyRule("ci"), users: new Set(["ci"]) }]);
    expect(ruleOf(policy, "a.example:1", { user: "ci" })).toBe("ci");
    expect(ruleOf(policy, "a.example:1", { user: "CI" })).toBe("default");
    expect(ruleOf(policy, "a.example:1")).toBe("default");
  });

  test("matches client addresses", () => {
    const policy = makePolicy([fromRange(denyRule("guests"), "192.0.2.0/24")]);
    expect(ruleOf(policy, "a.example:1", { client: "192.0.2.9" })).toBe("guests");
    expect(ruleOf(policy, "a.example:1", { client: "192.0.3.9" })).toBe("default");
  });

  test("wants everything that a rule asks for at once", () => {
    const policy = makePolicy([
      fromRange({ ...denyRule("all-of-it", "*:25"), users: new Set(["ci"]) }, "192.0.2.0/24"),
    ]);
    expect(ruleOf(policy, "a.example:25", { user: "ci", client: "192.0.2.9" })).toBe("all-of-it");
    expect(ruleOf(policy, "a.example:26", { user: "ci", client: "192.0.2.9" })).toBe("default");
    expect(ruleOf(policy, "a.example:25", { user: "cd", client: "192.0.2.9" })).toBe("default");
    expect(ruleOf(policy, "a.example:25", { user: "ci", client: "192.0.3.9" })).toBe("default");
  });

  test("needs the address when only a range could match a name", () => {
    const policy = makePolicy([denyRule("mail", "*:25"), denyRule("lab", "10.0.0.0/8")]);
    expect(evaluate(policy, makeQuery("a.example:443"))).toEqual({ kind: "needs_address", rule: 1 });
    expect(ruleOf(policy, "a.example:25")).toBe("mail");
    expect(ruleOf(policy, "a.example:443", { address: "10.1.2.3" })).toBe("lab");
    expect(ruleOf(policy, "a.example:443", { address: "11.1.2.3" })).toBe("default");
  });

  test("needs no address when another pattern matches, or the port of the range does not", () => {
    const policy = makePolicy([denyRule("either", "10.0.0.0/8", "a.example"), denyRule("port", "10.0.0.0/8:22")]);
    expect(ruleOf(policy, "a.example:443")).toBe("either");
    expect(evaluate(policy, makeQuery("b.example:443"))).toEqual({ kind: "needs_address", rule: 0 });
    expect(ruleOf(makePolicy([denyRule("port", "10.0.0.0/8:22")]), "b.example:443")).toBe("default");
  });

  test("compares names with the one that was asked for and the one that was found; the first rule for either decides", () => {
    const found = { foundName: "intranet.corp.example" };
    const below = denyRule("below", "*.corp.example");
    const asked = allowRule("asked", { to: ["intranet"] });
    expect(ruleOf(makePolicy([below, asked]), "intranet:443", found)).toBe("below");
    expect(ruleOf(makePolicy([asked, below]), "intranet:443", found)).toBe("asked");
    expect(ruleOf(makePolicy([denyRule("name", "intranet.corp.example:443")]), "intranet:443", found)).toBe("name");
    expect(ruleOf(makePolicy([denyRule("port", "intranet.corp.example:80")]), "intranet:443", found)).toBe("default");
    expect(ruleOf(makePolicy([below]), "intranet:443")).toBe("default");
  });

  test("needs the address where the search list could lead to a name of a rule", () => {
    const query = makeQuery("intranet:443", { mayBeCompleted: true });
    const needed = { kind: "needs_address", rule: 1 } as const;
    const first = denyRule("mail", "*:25");
    expect(evaluate(makePolicy([first, denyRule("below", "*.corp.example")]), query)).toEqual(needed);
    expect(evaluate(makePolicy([first, allowRule("name", { to: ["a.example:443"] })]), query)).toEqual(needed);
    expect(evaluate(makePolicy([allowRule("first", { to: ["*:443"] }), denyRule("x", "a.b")]), query)).toMatchObject({
      decision: { rule: "first" },
    });
  });

  test("needs no address for a name that is found already, asked for itself, or wanted on another port or by others", () => {
    const maybe = { mayBeCompleted: true };
    const policy = makePolicy([denyRule("port", "a.example:80"), denyRule("asked", "b.example", "intranet")]);
    expect(ruleOf(policy, "intranet:443", maybe)).toBe("asked");
    const others = fromRange({ ...denyRule("others", "a.example"), users: new Set(["ci"]) }, "192.0.2.0/24");
    expect(ruleOf(makePolicy([others]), "intranet:443", maybe)).toBe("default");
    const below = makePolicy([denyRule("below", "*.corp.example")]);
    expect(ruleOf(below, "intranet:443", { ...maybe, foundName: "intranet.lab.example" })).toBe("default");
    expect(ruleOf(below, "192.0.2.1:443", maybe)).toBe("default");
  });

  test("goes on from the rule it is told", () => {
    const policy = makePolicy([denyRule("first"), denyRule("second")]);
    expect(evaluate(policy, makeQuery("a.example:1"), 1)).toMatchObject({ decision: { rule: "second" } });
    expect(evaluate(policy, makeQuery("a.example:1"), 2)).toMatchObject({ decision: { rule: "default" } });
  });

  test("stops at a function and tells which rule it is", () => {
    const ask = () => undefined;
    expect(evaluate(makePolicy([denyRule("x", "b.example"), hookRule("hook", ask)]), makeQuery("a.example:1"))).toEqual(
      {
        kind: "ask",
        rule: 1,
        ask,
      },
    );
  });

  test("stops at a way that is a function, with the rest of the decision", () => {
    const via = () => ["corp"];
    expect(
      evaluate(makePolicy([allowRule("way", { via, allowPrivate: true })]), makeQuery("a.example:1")),
    ).toMatchObject({
      kind: "ask_via",
      rule: 0,
      ask: via,
      decision: { verdict: "allow", rule: "way", allowPrivate: true },
    });
  });

  test("carries the source address along", () => {
    const policy = makePolicy([allowRule("from-here", { sourceAddress: "192.0.2.5" })]);
    expect(decide(policy, "a.example:1")).toMatchObject({ sourceAddress: "192.0.2.5" });
  });

  test("tells when a rule that allows private addresses names the very address", () => {
    const to = ["169.254.169.254", "169.254.0.0/16", "fd00:ec2::254"];
    const policy = makePolicy([allowRule("metadata", { to, allowPrivate: true })]);
    expect(decide(policy, "169.254.169.254:80")).toMatchObject({ exactAddress: true });
    expect(decide(policy, "[fd00:ec2::254]:80")).toMatchObject({ exactAddress: true });
    expect(decide(policy, "169.254.170.2:80")).not.toHaveProperty("exactAddress");
    expect(decide(policy, "m.example:80", { address: "169.254.169.254" })).toMatchObject({ exactAddress: true });
    const otherPort = makePolicy([
      allowRule("metadata", { to: ["169.254.169.254:81", "169.254.0.0/16:80"], allowPrivate: true }),
    ]);
    expect(decide(otherPort, "169.254.169.254:80")).not.toHaveProperty("exactAddress");
  });
});

describe("applyVerdict()", () => {
  const policy = makePolicy([hookRule("hook", () => undefined)], { kind: "allow", via: ["corp"] });

  test("denies in the name of the rule", () => {
    expect(applyVerdict(policy, 0, { deny: true })).toEqual({
      verdict: "deny",
      rule: "hook",
      detail: "denied_by_rule",
    });
  });

  test("allows the default way and no private address unless told otherwise", () => {
    const plain = { verdict: "allow", rule: "hook", allowPrivate: false, via: ["corp"] };
    expect(applyVerdict(policy, 0, { allow: true })).toEqual(plain as Decision);
    expect(applyVerdict(policy, 0, { allow: true, allowPrivate: true, via: [] })).toEqual({
      ...plain,
      allowPrivate: true,
      via: [],
    } as Decision);
  });
});

test("describeQuery() tells a function who asks for what, in canonical text", () => {
  expect(describeQuery(makeQuery("[2001:DB8::1]:443", { user: "ci" }))).toEqual({
    client: "203.0.113.7",
    user: "ci",
    parameters: {},
    host: "2001:db8::1",
    port: 443,
    method: undefined,
    path: undefined,
  });
});

test("evaluate() finds one among thousands of rules by user, by parameter, by client, by name and by range", () => {
  const many = Array.from({ length: 2000 }, (_, at) => at);
  const byUser = makePolicy(many.map((at) => ({ ...denyRule(`r${at}`, "*.example"), users: new Set([`u${at}`]) })));
  expect(ruleOf(byUser, "a.example:1", { user: "u1234" })).toBe("r1234");
  expect(ruleOf(byUser, "a.example:1", { user: "nobody" })).toBe("default");
  expect(ruleOf(byUser, "a.example:1")).toBe("default");
  const byParameter = makePolicy(many.map((at) => givenCountry(denyRule(`r${at}`), `c${at}`, "any")));
  expect(byParameter.targets.open.forAll).toEqual([]);
  expect(ruleOf(byParameter, "a.example:1", { parameters: { session: "x", country: "C1234" } })).toBe("r1234");
  expect(ruleOf(byParameter, "a.example:1", { parameters: { session: "c1234" } })).toBe("default");
  expect(ruleOf(byParameter, "a.example:1", { parameters: { country: "any" } })).toBe("r0");
  expect(ruleOf(byParameter, "a.example:1")).toBe("default");
  const spread = (at: number) => `10.0.${at >> 8}.${at & 255}`;
  const byClient = makePolicy(many.map((at) => fromRange(denyRule(`r${at}`), spread(at))));
  expect(ruleOf(byClient, "a.example:1", { client: spread(1999) })).toBe("r1999");
  expect(ruleOf(byClient, "a.example:1", { client: spread(2000) })).toBe("default");
  const byTarget = makePolicy(many.map((at) => denyRule(`r${at}`, `n${at}.example`, `${spread(at)}:443`)));
  expect(ruleOf(byTarget, "n77.example:80")).toBe("r77");
  expect(evaluate(byTarget, makeQuery("n77.example:443"))).toEqual({ kind: "needs_address", rule: 0 });
  expect(ruleOf(byTarget, "n77.example:443", { address: spread(76) })).toBe("r76");
  expect(ruleOf(byTarget, `${spread(78)}:443`)).toBe("r78");
});
