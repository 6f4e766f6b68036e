import { describe, expect, test } from "bun:test";
import { authorize } from "../../../../src/proxy/decide/authorize.ts";
import type { Fallback, Policy, Rule } from "../../../../src/proxy/policy/policy.ts";
import { guardAddress } from "../../../../src/proxy/policy/guard.ts";
import type { RequestEdits } from "../../../../src/proxy/policy/message-edits.ts";
import { compileRequestEdits } from "../../../../src/config/request-edits.ts";
import { Secret } from "../../../../src/secret.ts";
import { createFakeResolver, unaskedResolver } from "../../../support/fake-resolver.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { allowRule, denyRule, hookRule, makeIp, makePatterns, makePolicy } from "../../../support/make-policy.ts";

const resolver = createFakeResolver({
  "public.test": ["93.184.216.1"],
  "mixed.test": ["93.184.216.1", "93.184.217.1", "10.0.0.1"],
  "inside.test": ["10.0.0.1"],
  "slow.test": "dns_timeout",
});
const own = { has: () => false };

function ask(policy: Policy, target: string, from = resolver) {
  const request = {
    client: makeIp("203.0.113.7"),
    user: "ci",
    runtime: { policy, upstreams: new Map(), timeouts: { connectMs: 1000, hookMs: 1000 } },
  };
  return authorize(request, makeEndpoint(target), { resolver: from, own, reportHook: () => undefined });
}

async function decide(policy: Policy, target: string) {
  const answer = await ask(policy, target);
  if (!answer.ok) return answer.failure.detail;
  answer.value.lookups?.release();
  return answer.value;
}

const reports = (rule: Rule): Rule => ({ ...rule, reports: true });
const denyAll: Fallback = { kind: "deny" };
const reportAll: Fallback = { kind: "deny", reports: true };

describe("a rule that only reports", () => {
  test("passes on to the next rule, and says what it would have said", async () => {
    const policy = makePolicy([reports(denyRule("ads", "public.test")), allowRule("rest", { via: ["up"] })]);
    expect(await decide(policy, "public.test:443")).toMatchObject({
      decision: { rule: "rest", via: ["up"], reported: { rule: "ads", detail: "denied_by_rule" } },
    });
    const other = await decide(policy, "other.test:443");
    expect(other).toMatchObject({ decision: { rule: "rest" } });
    expect(other).not.toHaveProperty("decision.reported");
  });

  test("opens nothing that a later rule or the default denies", async () => {
    const report = reports(denyRule("ads", "public.test"));
    expect(await decide(makePolicy([report, denyRule("all")]), "public.test:443")).toBe("denied_by_rule");
    expect(await decide(makePolicy([report], denyAll), "public.test:443")).toBe("denied_by_default");
  });

  test("is the first one of several that is recorded", async () => {
    const policy = makePolicy([reports(denyRule("one")), reports(denyRule("two"))], reportAll);
    expect(await decide(policy, "public.test:443")).toMatchObject({
      decision: { rule: "default", reported: { rule: "one", detail: "denied_by_rule" } },
    });
  });

  test("opens no private address, whatever a later rule allows: by name, by address, exactly", async () => {
    const policy = makePolicy([
      reports(denyRule("lab", "10.0.0.0/8", "169.254.169.254")),
      allowRule("in", { to: ["10.0.0.0/8", "169.254.169.254"], allowPrivate: true }),
    ]);
    expect(await decide(policy, "inside.test:443")).toBe("address_prohibited");
    for (const target of ["10.0.0.1", "169.254.169.254"]) {
      const answer = await ask(policy, `${target}:80`);
      if (!answer.ok) throw new Error("It is the guard of the dial that refuses");
      const { decision } = answer.value;
      expect(decision).not.toHaveProperty("exactAddress");
      expect(guardAddress(makeIp(target), 80, decision, { own })?.detail).toBe("address_prohibited");
    }
  });

  test("judges each address of a name by itself, and keeps those of both kinds", async () => {
    const policy = makePolicy([reports(denyRule("net", "93.184.216.1")), allowRule("rest")]);
    const found = await decide(policy, "mixed.test:443");
    if (typeof found === "string") throw new Error(found);
    const { decisions, addresses } = found;
    expect(addresses?.map(({ text }) => text)).toEqual(["93.184.216.1", "93.184.217.1"]);
    expect(decisions?.get("93.184.216.1")?.reported).toEqual({ rule: "net", detail: "denied_by_rule" });
    expect(decisions?.get("93.184.217.1")).toMatchObject({ rule: "rest" });
    expect(decisions?.get("93.184.217.1")).not.toHaveProperty("reported");
  });

  test("does not refuse a name that does not resolve, and says why it would have", async () => {
    const policy = makePolicy([reports(denyRule("net", "93.184.216.0/24")), allowRule("rest", { via: ["up"] })]);
    expect(await decide(policy, "slow.test:443")).toMatchObject({
      decision: { rule: "rest", reported: { rule: "net", detail: "dns_timeout" } },
    });
  });

  test("that would have asked an operator says nothing of a name that does not resolve", async () => {
    const to = makePatterns("93.184.216.0/24");
    const asking: Rule = {
      name: "asking",
      to,
      verdict: { kind: "allow", allowPrivate: false, via: undefined, ask: true },
    };
    const rest = allowRule("rest", { via: ["up"], allowPrivate: true });
    for (const rule of [asking, reports(asking)]) {
      const found = await decide(makePolicy([rule, rest]), "slow.test:443");
      expect(found).toMatchObject({ decision: { rule: "rest", allowPrivate: true } });
      expect(found).not.toHaveProperty("decision.reported");
    }
  });

  test("gives no host the secrets of a later rule, and drops what that rule drops", async () => {
    const secret = new Secret("s3cret");
    const edits: RequestEdits = compileRequestEdits(
      {
        set: { authorization: secret.reveal() },
        remove: ["cookie"],
        replace: { "sk-placeholder": "key" },
        allowPlain: true,
      },
      { folder: "/", files: new Map(), variables: {}, terminal: false },
    );
    const api: Rule = { name: "api", verdict: { kind: "allow", allowPrivate: false, via: undefined, request: edits } };
    const found = await decide(makePolicy([reports(denyRule("evil", "public.test")), api]), "public.test:443");
    if (typeof found === "string") throw new Error(found);
    const { request } = found.decision;
    expect(request).toMatchObject({ adds: false, fields: { set: [] } });
    expect([...(request?.fields.dropped ?? [])].toSorted()).toEqual(["authorization", "cookie"]);
    expect(request?.fields.exchanged.size).toBe(0);
    expect(await decide(makePolicy([api]), "public.test:443")).toMatchObject({ decision: { request: edits } });
  });

  test("that is a function reports its denial and its failure, and is believed when it allows", async () => {
    const policy = (answer: () => unknown) => makePolicy([reports(hookRule("fn", answer))], reportAll);
    expect(
      await decide(
        policy(() => ({ deny: true })),
        "public.test:443",
      ),
    ).toMatchObject({
      decision: { rule: "default", reported: { rule: "fn", detail: "denied_by_rule" } },
    });
    const broken = policy(() => {
      throw new Error("broken");
    });
    expect(await decide(broken, "public.test:443")).toMatchObject({
      decision: { rule: "default", reported: { rule: "fn", detail: "hook_failed" } },
    });
    const allowed = await decide(
      policy(() => ({ allow: true })),
      "public.test:443",
    );
    expect(allowed).toMatchObject({ decision: { rule: "fn" } });
    expect(allowed).not.toHaveProperty("decision.reported");
  });
});

describe("a default that only reports", () => {
  test("decides at once, asks nobody, and gives the same decision each time", () => {
    const policy = makePolicy([allowRule("known", { to: ["public.test"] })], { kind: "deny", reports: true });
    const [one, two] = ["a.test:443", "b.test:443"].map((target) => ask(policy, target, unaskedResolver));
    expect(one).toMatchObject({
      ok: true,
      value: {
        decision: {
          rule: "default",
          via: [],
          allowPrivate: false,
          reported: { rule: "default", detail: "denied_by_default" },
        },
      },
    });
    expect(one).toBe(two);
  });
});
