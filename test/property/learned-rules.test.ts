import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseToml } from "../../src/config/parse-toml.ts";
import { parseYaml } from "../../src/config/parse-yaml.ts";
import { authorize } from "../../src/proxy/decide/authorize.ts";
import { learnRules, Observations } from "../../src/learn/learn-rules.ts";
import { readEntry } from "../../src/learn/read-entry.ts";
import { RULE_FORMS, type RuleForm, writeRules } from "../../src/learn/write-rules.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { makeEndpoint } from "../support/make-endpoint.ts";
import { makeIp } from "../support/make-policy.ts";

const label = fc.constantFrom("a", "b", "c", "d", "www", "s3");
const domain = fc.constantFrom("example.org", "example.co.uk", "me.github.io", "amazonaws.com", "corp.internal", "com");
const name = fc.tuple(fc.array(label, { maxLength: 3 }), domain).map(([labels, end]) => [...labels, end].join("."));
const host = fc.oneof({ arbitrary: name, weight: 8 }, fc.constantFrom("93.184.216.34", "10.0.0.1", "[2606:4700::1]"));
const entry = fc.record({
  target: fc.tuple(host, fc.constantFrom(80, 443, 8443)).map(([text, port]) => `${text}:${port}`),
  user: fc.constantFrom(undefined, "alice", 'b"o\\b', "zoë # x\u2028"),
  route: fc.constantFrom("direct", "direct", "up"),
});

/** Reads what was written. What `defineConfig` is given in TypeScript is JSON5. */
function readRules(text: string, form: RuleForm): object {
  if (form === "json") return JSON.parse(text) as object;
  if (form === "ts") return Bun.JSON5.parse(/defineConfig\((\{.*\})\);\n$/s.exec(text)?.[1] ?? "") as object;
  const written = form === "yaml" ? parseYaml(text) : parseToml(text);
  if (!written.ok) throw new Error(text);
  return written.value as object;
}

function compile(entries: readonly { user?: string | undefined }[], threshold: number, form: RuleForm) {
  const seen = new Observations();
  for (const each of entries) {
    const read = readEntry(each);
    if (typeof read === "string") throw new Error(read);
    seen.add(read);
  }
  const text = writeRules(learnRules(seen, threshold), form, ["remark\n- injected: true"]);
  const names = [...new Set(entries.flatMap(({ user }) => user ?? []))];
  const users = names.map((each) => ({ name: each, password: "x" }));
  return compileForTest({
    ...readRules(text, form),
    ...(users.length > 0 && { users }),
    upstreams: { up: "http://192.0.2.1:3128" },
  });
}

const resolver = createFakeResolver({});

async function allows(
  compiled: ReturnType<typeof compile>,
  target: string,
  user: string | undefined,
): Promise<boolean> {
  const request = { client: makeIp("127.0.0.1"), user, runtime: compiled.runtime };
  const services = { resolver, own: { has: () => false }, reportHook: () => undefined };
  return (await authorize(request, makeEndpoint(target), services)).ok;
}

test("Learned rules allow everything that was seen, and no other port, address or registered domain", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { minLength: 1, maxLength: 25 }),
      fc.constantFrom(2, 3, Infinity),
      fc.constantFrom(...RULE_FORMS),
      async (entries, threshold, form) => {
        const compiled = compile(entries, threshold, form);
        for (const { target, user } of entries)
          expect([target, await allows(compiled, target, user)]).toEqual([target, true]);
        for (const { user } of entries)
          for (const other of [
            "a.example.org:25",
            "93.184.216.35:443",
            "10.0.0.2:443",
            "a.other.org:443",
            "x.github.io:443",
            "x.s3.amazonaws.com:443",
            "x.corp.internal:443",
            "x.com:443",
          ])
            expect([other, await allows(compiled, other, user)]).toEqual([other, false]);
      },
    ),
    { numRuns: 120 },
  );
});
