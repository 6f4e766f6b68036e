import { describe, expect, test } from "bun:test";
import type { Ip } from "../../../../src/address/ip.ts";
import { authorize } from "../../../../src/proxy/decide/authorize.ts";
import type { HookQuery, Policy } from "../../../../src/proxy/policy/policy.ts";
import { createFakeResolver, unaskedResolver } from "../../../support/fake-resolver.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { allowRule, denyRule, hookRule, makeIp, makePolicy } from "../../../support/make-policy.ts";
import type { HookReport } from "../../../../src/proxy/hook/call-hook.ts";
import type { Authorization, Decision } from "../../../../src/proxy/policy/decision.ts";
import type { AccessRequest } from "../../../../src/proxy/decide/inquiry.ts";

const resolver = createFakeResolver({
  "public.test": ["93.184.216.1", "2606:4700::1"],
  "mixed.test": ["93.184.216.1", "10.0.0.1", "93.184.216.2"],
  "inside.test": ["fd00::1", "10.0.0.1"],
  "ourselves.test": ["10.0.0.1", "93.184.216.9"],
  "slow.test": "dns_timeout",
});

/** What the operator was told in the test that runs. */
let reports: HookReport[] = [];
const reportHook = (report: HookReport): number => reports.push(report);

/** Our own listener. */
const own = { has: (ip: Ip, port: number) => ip.text === "93.184.216.9" && port === 8080 };

function makeRequest(policy: Policy, hookMs = 1000): AccessRequest {
  return {
    client: makeIp("203.0.113.7"),
    user: "ci",
    runtime: { policy, upstreams: new Map(), timeouts: { connectMs: 1000, hookMs } },
  };
}

interface Asked {
  readonly answer: Authorization;
  readonly decision: Decision | undefined;
}

function describeAnswer(answer: Authorization): Asked {
  return { answer, decision: answer.ok ? answer.value.decision : answer.decision };
}

async function ask(policy: Policy, target: string, hookMs?: number): Promise<Asked> {
  const services = { resolver, own, reportHook };
  return describeAnswer(await authorize(makeRequest(policy, hookMs), makeEndpoint(target), services));
}

function failureOf({ answer }: Asked) {
  return answer.ok ? undefined : answer.failure;
}

function addressesOf({ answer }: Asked) {
  return answer.ok ? answer.value.addresses?.map((ip) => ip.text) : undefined;
}

describe("authorize()", () => {
  test("answers at once when the rules can tell, and asks nobody", () => {
    const request = makeRequest(makePolicy([allowRule("all")]));
    const answer = authorize(request, makeEndpoint("public.test:443"), { resolver: unaskedResolver, own, reportHook });
    expect(answer).toEqual({
      ok: true,
      value: { decision: { verdict: "allow", rule: "all", allowPrivate: false, via: [] } },
    });
  });

  test("refuses in the name of the rule, and gives the decision", async () => {
    const asked = await ask(makePolicy([denyRule("no-mail", "*:25")]), "public.test:25");
    expect(failureOf(asked)).toEqual({ detail: "denied_by_rule", note: "rule no-mail" });
    expect(asked.decision).toMatchObject({ verdict: "deny", rule: "no-mail" });
    expect(failureOf(await ask(makePolicy([], { kind: "deny" }), "public.test:25"))).toEqual({
      detail: "denied_by_default",
    });
  });

  test("resolves a name where a range meets it, and keeps the addresses", async () => {
    const asked = await ask(makePolicy([denyRule("lab", "10.0.0.0/8")]), "public.test:443");
    expect(addressesOf(asked)).toEqual(["2606:4700::1", "93.184.216.1"]);
    expect(asked.answer).not.toHaveProperty("value.narrowed");
    expect(asked.decision?.rule).toBe("default");
  });

  test("keeps of a mixed answer only what is allowed, and says that it is not all", async () => {
    const asked = await ask(makePolicy([denyRule("lab", "10.0.0.0/8")]), "mixed.test:443");
    expect(addressesOf(asked)).toEqual(["93.184.216.1", "93.184.216.2"]);
    expect(asked.answer).toMatchObject({ value: { narrowed: true } });
  });

  test("keeps only the addresses that share the first allowed decision", async () => {
    const policy = makePolicy([
      allowRule("lab", { to: ["10.0.0.0/8"], allowPrivate: true }),
      allowRule("rest", { via: ["corp"] }),
    ]);
    const asked = await ask(policy, "mixed.test:443");
    expect(addressesOf(asked)).toEqual(["93.184.216.1", "93.184.216.2"]);
    expect(asked.decision).toMatchObject({ rule: "rest", via: ["corp"] });
  });

  test("answers with the first of equal denials when no address is allowed", async () => {
    const policy = makePolicy([denyRule("lab", "10.0.0.0/8"), denyRule("rest")]);
    const asked = await ask(policy, "mixed.test:443");
    expect(failureOf(asked)).toEqual({ detail: "denied_by_rule", note: "rule rest" });
  });

  test("drops addresses that their own decision does not let be dialled, before it chooses", async () => {
    const lab = allowRule("lab", { to: ["127.0.0.0/8", "10.0.0.0/8"], allowPrivate: true });
    const localhost = await ask(makePolicy([lab]), "localhost:443");
    expect(localhost.decision?.rule).toBe("lab");
    expect(addressesOf(localhost)).toEqual(["127.0.0.1"]);
    expect(localhost.answer).toMatchObject({ value: { narrowed: true } });

    const inside = await ask(makePolicy([lab]), "inside.test:443");
    expect(inside.decision?.rule).toBe("lab");
    expect(addressesOf(inside)).toEqual(["10.0.0.1"]);
  });

  test("never keeps a private address beside a public one that is first", async () => {
    const lab = allowRule("lab", { to: ["192.168.0.0/16"], allowPrivate: true });
    for (const via of [[], ["corp"]]) {
      const asked = await ask(makePolicy([lab], { kind: "allow", via }), "mixed.test:443");
      expect(addressesOf(asked)).toEqual(["93.184.216.1", "93.184.216.2"]);
      expect(asked.decision?.rule).toBe("default");
      expect(asked.answer).toMatchObject({ value: { narrowed: true } });
    }
  });

  test("tells what is wrong with the addresses when none of them may be dialled", async () => {
    const rule = allowRule("far", { to: ["203.0.113.0/24"], allowPrivate: true });
    const asked = await ask(makePolicy([rule]), "localhost:443");
    expect(failureOf(asked)).toEqual({ detail: "address_prohibited", note: "::1 is loopback" });
    expect(asked.decision?.rule).toBe("default");
  });

  test("tells of a rule rather than of what holds without rules, and of a loop before all else", async () => {
    const byRule = makePolicy([denyRule("lab", "10.0.0.0/8"), allowRule("rest")]);
    expect(failureOf(await ask(byRule, "inside.test:443"))).toEqual({ detail: "denied_by_rule", note: "rule lab" });
    const byDefault = makePolicy([allowRule("lab", { to: ["10.0.0.0/8"] })], { kind: "deny" });
    expect(failureOf(await ask(byDefault, "inside.test:443"))?.detail).toBe("address_prohibited");
    expect(failureOf(await ask(byRule, "ourselves.test:8080"))).toEqual({
      detail: "proxy_loop",
      note: "93.184.216.9",
    });
    expect(addressesOf(await ask(byRule, "ourselves.test:8081"))).toEqual(["93.184.216.9"]);
  });

  test("fails closed where the rule that needs the address denies", async () => {
    const policy = makePolicy([denyRule("lab", "10.0.0.0/8")], { kind: "allow", via: ["corp"] });
    expect(failureOf(await ask(policy, "nowhere.test:443"))).toEqual({
      detail: "dns_error",
      note: "ENOTFOUND, and rule lab needs the address",
    });
    expect(failureOf(await ask(policy, "slow.test:443"))?.detail).toBe("dns_timeout");
  });

  test("does not match a rule that allows a range to a name that does not resolve", async () => {
    const policy = makePolicy([allowRule("lab", { to: ["10.0.0.0/8"], allowPrivate: true })], {
      kind: "allow",
      via: ["corp"],
    });
    const asked = await ask(policy, "nowhere.test:443");
    expect(asked.answer).toMatchObject({ ok: true, value: { decision: { rule: "default", via: ["corp"] } } });
    expect(addressesOf(asked)).toBeUndefined();
  });

  test("still fails closed when a later rule denies a range", async () => {
    const policy = makePolicy([allowRule("lab", { to: ["10.0.0.0/8"] }), denyRule("dmz", "192.0.2.0/24")]);
    expect(failureOf(await ask(policy, "nowhere.test:443"))?.note).toContain("rule dmz needs the address");
  });

  test("takes localhost and names below it for loopback, whatever DNS says", async () => {
    const policy = makePolicy([denyRule("loopback", "127.0.0.0/8", "::1")]);
    for (const name of ["localhost", "a.localhost"]) {
      expect(failureOf(await ask(policy, `${name}:443`))?.note).toBe("rule loopback");
    }
  });

  test("asks a function once, in canonical words, however many addresses there are", async () => {
    const queries: HookQuery[] = [];
    const hook = hookRule("hook", (query) => {
      queries.push(query);
      return { allow: true, via: ["corp"] };
    });
    const asked = await ask(makePolicy([denyRule("lab", "10.0.0.0/8"), hook]), "mixed.test:443");
    expect(queries).toEqual([
      {
        client: "203.0.113.7",
        user: "ci",
        parameters: {},
        host: "mixed.test",
        port: 443,
        method: undefined,
        path: undefined,
      },
    ]);
    expect(asked.decision).toEqual({ verdict: "allow", rule: "hook", allowPrivate: false, via: ["corp"] });
    expect(addressesOf(asked)).toEqual(["93.184.216.1", "93.184.216.2"]);
  });

  test("passes on to the next rule when a function has nothing to say", async () => {
    const policy = makePolicy([hookRule("hook", () => Promise.resolve(undefined)), denyRule("next")]);
    expect(failureOf(await ask(policy, "public.test:443"))?.note).toBe("rule next");
  });

  test("lets a function deny", async () => {
    const asked = await ask(makePolicy([hookRule("hook", async () => ({ deny: true }))]), "public.test:443");
    expect(failureOf(asked)).toEqual({ detail: "denied_by_rule", note: "rule hook" });
  });

  test("denies when a function throws, rejects or never answers, and tells only the operator what it threw", async () => {
    const hooks: [() => unknown, string, string | undefined][] = [
      [
        () => {
          throw new Error("details");
        },
        "threw",
        "Error: details",
      ],
      [() => Promise.reject(new Error("details")), "threw", "Error: details"],
      [() => new Promise(() => {}), "did not answer in 20 ms", undefined],
    ];
    for (const [hook, why, thrown] of hooks) {
      reports = [];
      // A function that answers has time to, on whatever machine.
      const deadlineMs = thrown === undefined ? 20 : 60_000;
      const asked = await ask(makePolicy([hookRule("hook", hook)]), "public.test:443", deadlineMs);
      expect(failureOf(asked)).toEqual({ detail: "hook_failed", note: `rule hook ${why}` });
      expect(reports).toMatchObject([{ hook: "function of rule hook", fault: { why } }]);
      expect(reports[0]?.fault.thrown?.([]).split(" (at ")[0]).toBe(thrown);
      expect(asked.decision).toMatchObject({ verdict: "deny", rule: "hook", detail: "hook_failed" });
    }
  });

  test("denies when a function answers with what is no verdict", async () => {
    const answers = [
      null,
      true,
      "allow",
      {},
      { allow: false },
      { deny: false },
      { deny: true, allow: true },
      { allow: true, allowPrivate: "yes" },
      { allow: true, via: "corp" },
      { allow: true, via: [1] },
      { fault: "as of a webhook" },
    ];
    for (const answer of answers) {
      const asked = await ask(makePolicy([hookRule("hook", () => answer)]), "public.test:443");
      expect(failureOf(asked)).toEqual({ detail: "hook_failed", note: "rule hook answered with no verdict" });
    }
  });

  test("asks a function which way to go, and denies when it does not say", async () => {
    const toCorp = allowRule("way", { via: async () => ["corp"] });
    expect((await ask(makePolicy([toCorp]), "public.test:443")).decision).toMatchObject({ via: ["corp"] });
    const toNowhere = allowRule("way", { via: (() => "corp") as unknown as () => string[] });
    expect(failureOf(await ask(makePolicy([toNowhere]), "public.test:443"))).toEqual({
      detail: "hook_failed",
      note: "rule way answered with no route",
    });
    expect(reports.at(-1)).toEqual({ hook: "via function of rule way", fault: { why: "answered with no route" } });
  });
});
