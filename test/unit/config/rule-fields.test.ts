import { expect, test } from "bun:test";

import { explainTerms } from "../../../src/config/rule-fields.ts";
import { evaluate } from "../../../src/proxy/policy/evaluate.ts";
import { compileForTest } from "../../support/compile-for-test.ts";
import { makeQuery } from "../../support/make-policy.ts";

const names = Array.from({ length: 12 }, (_, at) => `${at}a.test`);

test.each([
  [{ allow: true }, undefined],
  [{ allowPrivate: true }, "private addresses"],
  [{ allowPrivate: false, tunnelHttp: true }, "tunnels for plain HTTP"],
  [{ proxyProtocol: 2, sourceAddress: "192.0.2.9" }, "a PROXY header of version 2; source address 192.0.2.9"],
  [{ sni: "match" }, "only tls; SNI as the target"],
  [
    { protocols: ["tls", "ssh"], sni: ["*", "a.example", "*.b.example"] },
    "only tls, ssh; SNI *, a.example, *.b.example",
  ],
  [{ sni: names }, `only tls; SNI ${names.slice(0, 10).join(", ")} and 2 more`],
  [{ tls: { min: "1.2" } }, "only tls; TLS 1.2 or later"],
  [{ ech: "deny" }, "only tls; no Encrypted Client Hello"],
  [{ sni: "match", ech: "grease" }, "only tls; SNI as the target; no Encrypted Client Hello unlike GREASE"],
  [{ ja4: ["t12i020400_d30dd38cd76f_847bbcdea70d"] }, "only tls; JA4 t12i020400_d30dd38cd76f_847bbcdea70d"],
])("explainTerms() says what %p allows", (rule, said) => {
  const { policy } = compileForTest({ rules: [rule] }).runtime;
  const evaluation = evaluate(policy, makeQuery("example.org:443"));
  const decision = evaluation.kind === "decided" && evaluation.decision;
  expect(decision && decision.verdict === "allow" && explainTerms(decision)).toBe(said);
});
