import { expect, test } from "bun:test";
import { describeInside } from "../../../src/cli/explain-target.ts";
import { compileInside } from "../../../src/config/compile-inside.ts";

test.each([
  [{ sni: "match" as const }, "only tls; SNI as the target"],
  [
    { protocols: ["tls" as const, "ssh" as const], sni: ["*", "a.example", "*.b.example"] },
    "only tls, ssh; SNI *, a.example, *.b.example",
  ],
  [
    { sni: Array.from({ length: 12 }, (_, at) => `${at}a.test`) },
    `only tls; SNI ${Array.from({ length: 10 }, (_, at) => `${at}a.test`).join(", ")} and 2 more`,
  ],
  [{ tls: { min: "1.2" as const } }, "only tls; TLS 1.2 or later"],
  [{ ja4: ["t12i020400_d30dd38cd76f_847bbcdea70d"] }, "only tls; JA4 t12i020400_d30dd38cd76f_847bbcdea70d"],
])("describeInside() says what %p demands", (rule, said) => {
  const demand = compileInside(rule);
  expect(demand && describeInside(demand)).toBe(said);
});
