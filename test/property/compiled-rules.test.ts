import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Cidr, containsIp, parseCidr } from "../../src/address/cidr.ts";
import { AddressSet } from "../../src/address/address-set.ts";
import { type Ip, ipFromBytes } from "../../src/address/ip.ts";
import { findUnreachableRules } from "../support/at-once.ts";
import { evaluate, evaluateAddress } from "../../src/proxy/policy/evaluate.ts";
import { explainMatches, type Mismatch } from "../../src/proxy/policy/explain-match.ts";
import { WELL_KNOWN_PREFIX } from "../../src/proxy/policy/nat64.ts";
import type { Evaluation, Query } from "../../src/proxy/policy/policy.ts";
import { hookRule, makeIp, makePatterns, makePolicy, makeQuery } from "../support/make-policy.ts";
import { type LinearMatch, type ListedRule, matchLinearly } from "../support/match-linearly.ts";

/** Few labels, so that names and suffixes meet. */
const label = fc.constantFrom("a", "b", "cc", "test");
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const ipv4 = fc.tuple(fc.constantFrom(10, 192), fc.nat(1), fc.nat(1), fc.nat(3)).map((parts) => parts.join("."));
const ipv6 = fc.tuple(fc.constantFrom("2001:db8", "fd00"), fc.nat(1), fc.nat(3)).map(([a, b, c]) => `${a}:${b}::${c}`);
const address = fc.oneof(ipv4, ipv6);

const range = fc.oneof(
  address,
  fc.tuple(ipv4, fc.nat(32)).map(([base, prefix]) => maskRange(base, prefix)),
  fc.tuple(ipv6, fc.nat(128)).map(([base, prefix]) => maskRange(base, prefix)),
);
const ports = fc.constantFrom("", ":443", ":80,443", ":1-1000", ":8080", ":1-65535");
const pattern = fc
  .tuple(
    fc.oneof(
      { weight: 1, arbitrary: fc.constant("*") },
      { weight: 6, arbitrary: name },
      { weight: 6, arbitrary: name.map((text) => `*.${text}`) },
      { weight: 6, arbitrary: range.map((text) => (text.includes(":") ? `[${text}]` : text)) },
    ),
    ports,
  )
  .map(([host, at]) => host + at);

const users = fc.uniqueArray(fc.constantFrom("ann", "bob", "eve"), { minLength: 1 }).map((names) => new Set(names));
const parameterNames = fc.constantFrom("session", "country");
const conditions = fc.uniqueArray(
  fc.record({
    name: parameterNames,
    values: fc.option(fc.uniqueArray(fc.constantFrom("de", "at", "x1"), { minLength: 1 }), { nil: undefined }),
  }),
  { minLength: 1, selector: ({ name: parameter }) => parameter },
);
const parameters = fc.dictionary(parameterNames, fc.constantFrom("de", "AT", "x1", "X2"));
const methods = fc.uniqueArray(fc.constantFrom("GET", "HEAD", "POST"), { minLength: 1 }).map((list) => new Set(list));
const paths = fc.array(
  fc.array(fc.constantFrom("a", "b", "*", "/"), { maxLength: 6 }).map((parts) => `/${parts.join("")}`),
  { minLength: 1, maxLength: 3 },
);
const requests = fc.oneof(
  fc.constantFrom("any" as const, undefined),
  fc.record({
    method: fc.constantFrom("GET", "get", "POST", "PUT"),
    path: fc.option(
      fc.array(fc.constantFrom("a", "A", "b", "/"), { maxLength: 6 }).map((parts) => `/${parts.join("")}`),
      { nil: undefined, freq: 6 },
    ),
  }),
);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const rule: fc.Arbitrary<ListedRule> = fc
  .record({
    from: optional(fc.array(range, { minLength: 1, maxLength: 3 })),
    users: optional(users),
    parameters: fc.option(conditions, { nil: undefined, freq: 2 }),
    methods: fc.option(methods, { nil: undefined, freq: 2 }),
    paths: fc.option(paths, { nil: undefined, freq: 2 }),
    to: fc.option(fc.array(pattern, { minLength: 1, maxLength: 6 }), { nil: undefined, freq: 8 }),
    until: fc.option(fc.constantFrom(5, 10), { nil: undefined, freq: 2 }),
    verdict: fc.constantFrom("deny", "allow", "private", "via", "hook"),
  })
  .map((drawn) => ({
    name: "",
    ...(drawn.from && { from: drawn.from.map(readRange) }),
    ...(drawn.users && { users: drawn.users }),
    ...(drawn.parameters && { parameters: drawn.parameters.map(compileCondition) }),
    // A function has no conditions.
    ...(drawn.verdict !== "hook" && drawn.methods && { methods: drawn.methods }),
    ...(drawn.verdict !== "hook" && drawn.paths && { paths: drawn.paths }),
    ...(drawn.to && { to: makePatterns(...drawn.to) }),
    ...(drawn.until !== undefined && { when: { until: drawn.until } }),
    verdict: makeVerdict(drawn.verdict),
  }));
const rules = fc
  .oneof(fc.array(rule, { maxLength: 6 }), fc.array(rule, { minLength: 10, maxLength: 60 }))
  .map((list) => list.map((each, at) => ({ ...each, name: `r${at}` })));

const query: fc.Arbitrary<Query> = fc
  .record({
    host: fc.oneof({ weight: 3, arbitrary: name }, { weight: 1, arbitrary: address }),
    port: fc.constantFrom(80, 443, 1000, 1001, 8080),
    client: address,
    user: optional(fc.constantFrom("ann", "bob", "mallory")),
    parameters: optional(parameters),
    address: optional(address),
    foundName: optional(name),
    mayBeCompleted: optional(fc.boolean()),
    request: requests,
    now: fc.constantFrom(0, 5, 9, 10),
  })
  .map(({ now, host, port, user, parameters: given, address: found, foundName, mayBeCompleted, client, request }) => ({
    ...makeQuery(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`, {
      client,
      now,
      ...(user !== undefined && { user }),
      ...(given && { parameters: given }),
      ...(found !== undefined && { address: found }),
      ...(foundName !== undefined && { foundName }),
      ...(mayBeCompleted !== undefined && { mayBeCompleted }),
    }),
    request,
  }));

describe("evaluate()", () => {
  test("agrees with looking at every pattern of every rule, from whichever rule on", () => {
    fc.assert(
      fc.property(rules, fc.array(query, { minLength: 1, maxLength: 20 }), fc.nat(6), (list, queries, from) => {
        const policy = makePolicy(list, { kind: "deny" });
        for (const asked of queries)
          for (const start of [0, from, list.length - 1, list.length].filter((at) => at >= 0))
            expect(summarise(evaluate(policy, asked, start), list)).toEqual(matchLinearly(list, asked, start));
      }),
      { numRuns: 1000 },
    );
  });

  test("agrees with it for many rules of one user, one parameter or one range of clients each, and a few for all", () => {
    const person = fc.nat(40).map((at) => `user${at}`);
    const client = fc.nat(40).map((at) => `198.51.100.${at}`);
    const country = fc.nat(40).map((at) => `x${at}`);
    const owned = fc
      .tuple(rule, optional(person), optional(client), optional(country))
      .map(([each, user, from, value]): ListedRule => ({
        ...each,
        ...(user !== undefined && { users: new Set([user]) }),
        ...(from !== undefined && { from: [readRange(from)] }),
        ...(value !== undefined && {
          parameters: [{ name: "session" }, { name: "country", values: new Set([value]) }],
        }),
      }));
    const asking = fc.tuple(query, person, client, country).map(([asked, user, from, value]): Query => ({
      ...asked,
      user,
      client: makeIp(from),
      parameters: { session: "a", country: value, ...asked.parameters },
    }));
    const many = fc.array(owned, { minLength: 20, maxLength: 120 });
    fc.assert(
      fc.property(many, fc.array(asking, { minLength: 1, maxLength: 20 }), fc.nat(100), (unnamed, queries, from) => {
        const list = unnamed.map((each, at) => ({ ...each, name: `r${at}` }));
        const policy = makePolicy(list, { kind: "deny" });
        for (const asked of queries)
          for (const start of [0, from])
            expect(summarise(evaluate(policy, asked, start), list)).toEqual(matchLinearly(list, asked, start));
      }),
    );
  });
});

describe("explainMatches()", () => {
  test("says of the rule at which evaluate() stops, and of none before it, that it does not differ", () => {
    fc.assert(
      fc.property(rules, fc.array(query, { minLength: 1, maxLength: 20 }), fc.nat(6), (list, queries, from) => {
        const policy = makePolicy(list, { kind: "deny" });
        for (const asked of queries) {
          const matches = explainMatches(policy, asked);
          expect(matches.map(({ rule: index }) => index)).toEqual(list.map((_, index) => index));
          for (const start of [0, from]) {
            const stop = matches.find(({ rule: index, outcome }) => index >= start && outcome !== "differs");
            const { kind, rule: stopped } = summarise(evaluate(policy, asked, start), list) as Partial<LinearMatch> & {
              rule?: number;
            };
            expect(stop?.rule).toBe(stopped);
            expect(stop?.outcome === "needs_address").toBe(kind === "needs_address");
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test("agrees with evaluateAddress() about addresses behind a translator", () => {
    const behind = fc.nat(3).map((at) => `64:ff9b::${at > 1 ? "a00" : "c000"}:${at}`);
    fc.assert(
      fc.property(rules, query, behind, (list, asked, translated) => {
        const policy = makePolicy(list, { kind: "deny" });
        const { mayBeCompleted: _, ...rest } = asked;
        const resolved: Query = { ...rest, address: makeIp(translated) };
        const stop = explainMatches(policy, resolved, WELL_KNOWN_PREFIX).find(({ outcome }) => outcome !== "differs");
        expect(stop?.rule).toBe(evaluateAddress(policy, resolved, WELL_KNOWN_PREFIX).rule);
      }),
    );
  });

  test("names exactly the conditions that keep a rule from matching", () => {
    fc.assert(
      fc.property(rules, query, (list, asked) => {
        for (const { rule: index, outcome, mismatches } of explainMatches(makePolicy(list), asked)) {
          const each = list[index] as ListedRule;
          expect(mismatches.length > 0).toBe(outcome === "differs");
          expect(stops(dropConditions(each, mismatches), asked)).toBe(true);
          for (const mismatch of mismatches) {
            const others = mismatches.filter((other) => other !== mismatch);
            expect(stops(dropConditions(each, others), asked)).toBe(false);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** Whether the only rule of a policy matches, or could. */
function stops(only: ListedRule, asked: Query): boolean {
  return matchLinearly([only], asked).kind !== "none";
}

/** A rule without the conditions that a query does not meet. */
function dropConditions(each: ListedRule, mismatches: readonly Mismatch[]): ListedRule {
  const { from, users: names, parameters: wanted = [], to, methods: seen, paths: ways, when, ...rest } = each;
  const fields = new Set<string>(mismatches.map(({ field }) => field));
  const unmet = new Set(mismatches.flatMap((mismatch) => (mismatch.field === "parameters" ? mismatch.parameter : [])));
  const isPort = mismatches.some((mismatch) => mismatch.field === "to" && mismatch.ports !== undefined);
  return {
    ...rest,
    ...(from && !fields.has("from") && { from }),
    ...(names && !fields.has("users") && { users: names }),
    parameters: wanted.filter(({ name: parameter }) => !unmet.has(parameter)),
    ...(to && isPort && { to: to.map(({ host }) => ({ host, ports: [] })) }),
    ...(to && !fields.has("to") && { to }),
    ...(seen && !fields.has("methods") && { methods: seen }),
    ...(ways && !fields.has("paths") && { paths: ways }),
    ...(when && !fields.has("until") && { when }),
  };
}

test("findUnreachableRules() finds only rules that match no query that is known in full", () => {
  const known = fc.tuple(query, address).map(([asked, ip]): Query => {
    const { mayBeCompleted: _, ...rest } = asked;
    return { ...rest, address: asked.address ?? makeIp(ip) };
  });
  fc.assert(
    fc.property(rules, fc.array(known, { minLength: 1, maxLength: 40 }), (list, queries) => {
      const unreachable = findUnreachableRules(list).map(({ path }) => path[1]);
      for (const asked of queries) {
        const match = matchLinearly(list, asked);
        if (match.kind === "matched") expect(unreachable).not.toContain(match.rule);
      }
    }),
    { numRuns: 500 },
  );
});

test("An address set has an address exactly when one of its ranges does, at every border", () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 40 }), fc.array(address), (texts, others) => {
      const ranges = texts.map(readRange);
      const set = new AddressSet(ranges);
      const asked = [...ranges.flatMap(findBorders), ...others.map(makeIp)];
      for (const ip of asked) expect(set.has(ip)).toBe(ranges.some((each) => containsIp(each, ip)));
    }),
  );
});

function summarise(evaluation: Evaluation, list: readonly ListedRule[]): LinearMatch {
  switch (evaluation.kind) {
    case "needs_address":
      return evaluation;
    case "ask":
    case "report":
      return { kind: "matched", rule: evaluation.rule, exact: false };
    default: {
      const { decision } = evaluation;
      const at = list.findIndex((each) => each.name === decision.rule);
      if (at < 0) return { kind: "none" };
      return { kind: "matched", rule: at, exact: decision.verdict === "allow" && decision.exactAddress === true };
    }
  }
}

function makeVerdict(kind: "deny" | "allow" | "private" | "via" | "hook"): ListedRule["verdict"] {
  if (kind === "deny") return { kind };
  if (kind === "hook") return hookRule("", () => undefined).verdict;
  return { kind: "allow", allowPrivate: kind === "private", via: kind === "via" ? () => ["up"] : undefined };
}

function compileCondition({ name: parameter, values }: { name: string; values: readonly string[] | undefined }) {
  return { name: parameter, ...(values && { values: new Set(values) }) };
}

function readRange(text: string): Cidr {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(`${text} ${parsed.reason}`);
  return parsed.cidr;
}

function maskRange(base: string, prefix: number): string {
  const bytes = makeIp(base).bytes.map((byte, at) => byte & (0xff00 >> Math.min(8, Math.max(0, prefix - at * 8))));
  return `${ipFromBytes(bytes).text}/${prefix}`;
}

/** The first and the last address of a range, and those next to them. */
function findBorders({ base, prefix }: Cidr): Ip[] {
  const bits = BigInt(base.length * 8);
  const first = base.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const last = first + (1n << (bits - BigInt(prefix))) - 1n;
  return [first - 1n, first, last, last + 1n].flatMap((value) => {
    if (value < 0n || value >= 1n << bits) return [];
    const bytes = base.map((_, at) => Number((value >> (bits - 8n * BigInt(at + 1))) & 255n));
    return ipFromBytes(bytes);
  });
}
