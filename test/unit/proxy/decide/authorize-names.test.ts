import { describe, expect, test } from "bun:test";
import type { Conn } from "../../../../src/net/conn/conn.ts";
import { LoopTimers } from "../../../../src/net/conn/loop-timers.ts";
import { knowLookups, type Lookup, type Lookups, type Resolver } from "../../../../src/net/dns/resolver.ts";
import { authorize } from "../../../../src/proxy/decide/authorize.ts";
import type { Hop } from "../../../../src/proxy/route/hop.ts";
import type { Policy } from "../../../../src/proxy/policy/policy.ts";
import { createFakeResolver } from "../../../support/fake-resolver.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { allowRule, denyRule, makeIp, makePolicy } from "../../../support/make-policy.ts";
import { waitFor } from "../../../support/wait-for.ts";
import type { Authorization, Decision } from "../../../../src/proxy/policy/decision.ts";
import type { AccessRequest } from "../../../../src/proxy/decide/inquiry.ts";

const own = { has: () => false };
const reportHook = (): void => {};

function makeRequest(policy: Policy): AccessRequest {
  return {
    client: makeIp("203.0.113.7"),
    user: "ci",
    runtime: { policy, upstreams: new Map(), timeouts: { connectMs: 1000, hookMs: 1000 } },
  };
}

interface Asked {
  readonly answer: Authorization;
  readonly decision: Decision | undefined;
}

function describeAnswer(answer: Authorization): Asked {
  return { answer, decision: answer.ok ? answer.value.decision : answer.decision };
}

async function ask(policy: Policy, target: string): Promise<Asked> {
  const services = { resolver: createFakeResolver({}), own, reportHook };
  return describeAnswer(await authorize(makeRequest(policy), makeEndpoint(target), services));
}

function failureOf({ answer }: Asked) {
  return answer.ok ? undefined : answer.failure;
}

function addressesOf({ answer }: Asked) {
  return answer.ok ? answer.value.addresses?.map((ip) => ip.text) : undefined;
}

/** A resolver with a search list: names are completed, and may be answered one family at a time. */
class Completing implements Resolver {
  readonly asked: string[] = [];
  released = 0;
  readonly #answers: Readonly<Record<string, Lookups>>;

  constructor(answers: Readonly<Record<string, Lookups>>) {
    this.#answers = answers;
  }

  find({ text }: { text: string }): Lookups {
    this.asked.push(text);
    const { 4: four, 6: six } = this.#answers[text] ?? knowLookups(nothing, nothing);
    return { 4: four, 6: six, release: () => (this.released += 1) };
  }

  mayComplete({ absolute }: { absolute?: true }): boolean {
    return absolute !== true;
  }
}

const nothing: Lookup = { ok: false, detail: "dns_error", note: "ENOTFOUND" };
const silent = new Promise<Lookup>(() => {});

function found(name: string, ...texts: string[]): Lookup {
  return { ok: true, name, addresses: texts.map(makeIp) };
}

describe("authorize() with names that may be completed", () => {
  const intra = { intranet: knowLookups(found("intranet.corp.example", "93.184.216.5"), nothing) };

  async function askWith(answers: Readonly<Record<string, Lookups>>, policy: Policy, target: string) {
    const services = { resolver: new Completing(answers), own, reportHook };
    return { services, ...describeAnswer(await authorize(makeRequest(policy), makeEndpoint(target), services)) };
  }

  test("judges the name that was found beside the one that was asked for", async () => {
    const asked = await askWith(intra, makePolicy([denyRule("corp", "*.corp.example")]), "intranet:443");
    expect(failureOf(asked)).toEqual({ detail: "denied_by_rule", note: "rule corp" });
    const allowed = makePolicy([allowRule("corp", { to: ["intranet.corp.example"] })], { kind: "deny" });
    const { answer } = await askWith(intra, allowed, "intranet:443");
    expect(answer).toMatchObject({
      ok: true,
      value: { decision: { rule: "corp" }, foundName: "intranet.corp.example" },
    });
    expect(answer).toMatchObject({ value: { foundName: "intranet.corp.example" } });
  });

  test("goes by the first rule that matches either name", async () => {
    const word = makePolicy([allowRule("word", { to: ["intranet"] }), denyRule("corp", "*.corp.example")]);
    const asked = await askWith(intra, word, "intranet:443");
    expect(asked.answer).toMatchObject({ ok: true, value: { decision: { rule: "word" } } });
    expect(asked.services.resolver.asked).toEqual([]);
  });

  test("answers at once when the found name is known already", () => {
    const services = { resolver: new Completing(intra), own, reportHook };
    const policy = makePolicy([denyRule("corp", "*.corp.example")]);
    expect(authorize(makeRequest(policy), makeEndpoint("intranet:443"), services)).toMatchObject({ ok: false });
  });

  test("waits for no name that is absolute", async () => {
    const asked = await askWith(intra, makePolicy([denyRule("corp", "*.corp.example")]), "intranet.:443");
    expect(asked.answer).toMatchObject({ ok: true, value: { decision: { rule: "default" } } });
    expect(asked.services.resolver.asked).toEqual([]);
  });

  test("judges the name as it was asked for when an upstream resolves it, or when it exists nowhere", async () => {
    const policy = makePolicy([denyRule("corp", "*.corp.example")], { kind: "allow", via: ["up"] });
    const services = { resolver: new Completing(intra), own, reportHook };
    const hop = { name: "up", kind: "http", endpoint: makeEndpoint("192.0.2.1:3128") } as const;
    const request = makeRequest(policy);
    const leaving = { ...request, runtime: { ...request.runtime, upstreams: new Map([["up", hop]]) } };
    expect(authorize(leaving, makeEndpoint("intranet:443"), services)).toMatchObject({ ok: true });
    expect(services.resolver.asked).toEqual([]);
    const nowhere = await askWith({}, makePolicy([denyRule("corp", "*.corp.example")]), "nowhere:443");
    expect(nowhere.answer).toMatchObject({ ok: true, value: { decision: { rule: "default" } } });
  });

  test("fails closed when it cannot be known whether a rule that denies matches", async () => {
    const trouble: Lookup = { ok: false, detail: "dns_error", note: "ESERVFAIL" };
    const answers = { intranet: knowLookups(trouble, trouble) };
    const asked = await askWith(answers, makePolicy([denyRule("corp", "*.corp.example")]), "intranet:443");
    expect(failureOf(asked)).toEqual({ detail: "dns_error", note: "ESERVFAIL, and rule corp needs the address" });
  });

  test("looks at the addresses of the name that was found", async () => {
    const policy = makePolicy([denyRule("net", "93.184.216.0/24"), denyRule("corp", "*.corp.example")]);
    expect(failureOf(await askWith(intra, policy, "intranet:443"))?.note).toBe("rule net");
  });
});

describe("authorize() with one family of a name", () => {
  const range = makePolicy([allowRule("lab", { to: ["10.0.0.0/8", "fd00::/8"], allowPrivate: true })], {
    kind: "deny",
  });

  async function askHalf(lookups: Lookups, policy = range) {
    const services = { resolver: new Completing({ "half.test": lookups }), own, reportHook };
    const answer = await authorize(makeRequest(policy), makeEndpoint("half.test.:443"), services);
    return { services, ...describeAnswer(answer) };
  }

  test("decides by the one when the other is silent, and says that it is not all", async () => {
    const asked = await askHalf({ 4: found("half.test", "10.0.0.1"), 6: silent, release() {} });
    expect(addressesOf(asked)).toEqual(["10.0.0.1"]);
    expect(asked.answer).toMatchObject({ value: { narrowed: true, late: { family: 6 } } });
  });

  test("judges what comes late as everything else", async () => {
    const { promise, resolve } = Promise.withResolvers<Lookup>();
    const asked = await askHalf({ 4: found("half.test", "10.0.0.1"), 6: promise, release() {} });
    resolve(found("half.test", "fd00::1", "2606:4700::1"));
    const late = asked.answer.ok ? await asked.answer.value.late?.answer : undefined;
    expect(late).toMatchObject({ ok: true, addresses: [{ text: "fd00::1" }] });
  });

  test("waits for the other one when no address of the first may be dialled", async () => {
    const { promise, resolve } = Promise.withResolvers<Lookup>();
    const asking = askHalf({ 4: found("half.test", "192.168.0.1"), 6: promise, release() {} });
    await Bun.sleep(60);
    resolve(found("half.test", "fd00::1"));
    expect(addressesOf(await asking)).toEqual(["fd00::1"]);
  });

  test("gives up at the time for connecting when nothing comes, or with the client", async () => {
    const asked = await askHalf({ 4: silent, 6: silent, release() {} });
    expect(failureOf(asked)?.detail).toBe("denied_by_default");
    expect(asked.services.resolver.released).toBe(1);
    const client = { closed: false, whenClosed: undefined, timers: new LoopTimers() } as unknown as Conn;
    const services = {
      resolver: new Completing({ "half.test": { 4: silent, 6: silent, release() {} } }),
      own,
      reportHook,
    };
    const asking = authorize(makeRequest(range), makeEndpoint("half.test.:443"), services, client);
    await waitFor(() => client.whenClosed, "the question");
    client.whenClosed?.();
    expect(await asking).toEqual({ ok: false, failure: { detail: "client_gone" }, decision: undefined });
    expect(services.resolver.released).toBe(1);
    expect(client.whenClosed).toBeUndefined();
  });

  test("says how much of the time for connecting was spent", async () => {
    const { promise, resolve } = Promise.withResolvers<Lookup>();
    const asking = askHalf({ 4: promise, 6: promise, release() {} });
    // First the question is asked.
    await Bun.sleep(0);
    await Bun.sleep(30);
    resolve(found("half.test", "10.0.0.1"));
    const { answer } = await asking;
    expect(answer.ok ? answer.value.spentMs : 0).toBeGreaterThan(20);
  });
});

describe("authorize() with addresses that different rules allow", () => {
  test("keeps all that lead the same way, each with its own decision", async () => {
    const four = allowRule("four", { to: ["127.0.0.0/8"], allowPrivate: true });
    const six = allowRule("six", { to: ["::1"], allowPrivate: true });
    const asked = await ask(makePolicy([four, six], { kind: "deny" }), "localhost:443");
    expect(addressesOf(asked)).toEqual(["::1", "127.0.0.1"]);
    const decisions = asked.answer.ok ? asked.answer.value.decisions : undefined;
    expect(decisions?.get("127.0.0.1")?.rule).toBe("four");
    expect(decisions?.get("::1")?.rule).toBe("six");
  });

  test("makes no difference between an exact address and a range", async () => {
    for (const to of [
      ["127.0.0.1", "::1"],
      ["127.0.0.0/8", "::1"],
      ["127.0.0.1", "::/64"],
    ]) {
      const asked = await ask(
        makePolicy([allowRule("lab", { to, allowPrivate: true })], { kind: "deny" }),
        "localhost:443",
      );
      expect(addressesOf(asked)).toEqual(["::1", "127.0.0.1"]);
      expect(asked.answer).not.toHaveProperty("value.narrowed");
    }
  });

  test("keeps those that lead the way of the first one where ways differ", async () => {
    const six = allowRule("six", { to: ["::1"], allowPrivate: true, via: ["corp"] });
    const four = allowRule("four", { to: ["127.0.0.0/8"], allowPrivate: true });
    expect(addressesOf(await ask(makePolicy([six, four]), "localhost:443"))).toEqual(["::1"]);
  });
});

describe("authorize() with addresses behind NAT64", () => {
  test("lets no range be got round by writing its addresses another way", async () => {
    const policy = makePolicy([denyRule("net", "93.184.216.0/24")]);
    expect(failureOf(await ask(policy, "[64:ff9b::5db8:d801]:443"))?.note).toBe("rule net");
    expect((await ask(policy, "[64:ff9b::101:101]:443")).answer.ok).toBe(true);
  });

  test("goes by the first rule that matches the address or the one inside", async () => {
    const outer = allowRule("outer", { to: ["64:ff9b::/96"], allowPrivate: true });
    const inner = allowRule("inner", { to: ["10.0.0.0/8"], allowPrivate: true });
    for (const [rules, rule] of [
      [[outer, inner], "outer"],
      [[inner, outer], "inner"],
      [[denyRule("deny", "10.0.0.0/8"), outer], "deny"],
    ] as const) {
      const asked = await ask(makePolicy(rules), "[64:ff9b::a00:1]:443");
      expect(asked.decision?.rule).toBe(rule);
    }
  });
});

test("a name has all of the time for connecting where a rule could deny its addresses, whatever upstreams there are", async () => {
  const policy = makePolicy([denyRule("inside", "10.0.0.0/8"), allowRule("rest")]);
  const request = makeRequest(policy);
  const corp: Hop = { name: "corp", kind: "http", endpoint: makeEndpoint("corp.example:3128") };
  const runtime = { ...request.runtime, upstreams: new Map([["corp", corp]]) };
  // Later than half of the time: both timers are of this process, and fire in their order.
  const late = new Promise<Lookup>((resolve) => setTimeout(() => resolve(found("late.test", "9.9.9.9")), 700));
  const services = {
    resolver: new Completing({ "late.test": { 4: late, 6: nothing, release() {} } }),
    own,
    reportHook,
  };
  const answer = await authorize({ ...request, runtime }, makeEndpoint("late.test.:443"), services);
  expect(answer).toMatchObject({ ok: true, value: { decision: { verdict: "allow" } } });
});
