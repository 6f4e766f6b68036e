import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { evaluate } from "../../src/proxy/policy/evaluate.ts";
import { guardAddress } from "../../src/proxy/policy/guard.ts";
import { classifyAddress } from "../../src/proxy/policy/address-class.ts";
import type { Rule } from "../../src/proxy/policy/policy.ts";
import { ipFromBytes } from "../../src/address/ip.ts";
import { allowRule, denyRule, makePolicy, makeQuery } from "../support/make-policy.ts";

const names = ["*", "*:443", "*:80,8000-8999", "a.test", "*.test", "b.a.test:443", "other.example"];
const ranges = ["10.0.0.0/8", "10.1.0.0/16:443", "192.0.2.1", "2001:db8::/32", "0.0.0.0/0", "[::/0]:80"];
const pattern = fc.constantFrom(...names, ...ranges);
const address = fc.constantFrom("10.0.0.1", "10.1.2.3", "192.0.2.1", "198.51.100.7", "2001:db8::1", "2606:4700::1");
const name = fc.constantFrom("a.test", "b.a.test", "other.example", "elsewhere.example");
const port = fc.constantFrom(80, 443, 8080);

const rules = fc
  .array(fc.record({ to: fc.array(pattern, { minLength: 1, maxLength: 3 }), allow: fc.boolean() }))
  .map((list) =>
    list.map(({ to, allow }, at): Rule => (allow ? allowRule(`r${at}`, { to }) : denyRule(`r${at}`, ...to))),
  );

describe("evaluate()", () => {
  test("decides the same whether the address was known from the start or asked for on the way", () => {
    fc.assert(
      fc.property(rules, name, port, address, (list, host, at, ip) => {
        const policy = makePolicy(list);
        const target = `${host}:${at}`;
        const known = makeQuery(target, { address: ip });
        const first = evaluate(policy, makeQuery(target));
        const asked = first.kind === "needs_address" ? evaluate(policy, known, first.rule) : first;
        expect(asked.kind).toBe("decided");
        expect(asked).toEqual(evaluate(policy, known));
      }),
    );
  });

  test("decides about a target that is an address without asking for any", () => {
    fc.assert(
      fc.property(rules, port, address, (list, at, ip) => {
        const target = ip.includes(":") ? `[${ip}]:${at}` : `${ip}:${at}`;
        expect(evaluate(makePolicy(list), makeQuery(target)).kind).toBe("decided");
      }),
    );
  });
});

test("guardAddress() lets nothing but public addresses pass unless a rule opens the inside, and never ourselves", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(
    fc.property(bytes, fc.boolean(), fc.boolean(), fc.boolean(), (octets, allowPrivate, exactAddress, ours) => {
      const ip = ipFromBytes(octets);
      const decision = { verdict: "allow", rule: "r", allowPrivate, exactAddress, via: [] } as const;
      const refusal = guardAddress(ip, 443, decision, { own: { has: () => ours } });
      if (ours) expect(refusal?.detail).toBe("proxy_loop");
      else if (classifyAddress(ip) !== "public" && !allowPrivate) expect(refusal?.detail).toBe("address_prohibited");
      else if (refusal !== undefined) expect(classifyAddress(ip)).toBe("metadata");
    }),
  );
});
