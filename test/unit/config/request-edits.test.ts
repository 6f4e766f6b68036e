import { describe, expect, test } from "bun:test";

import { checkConfig } from "../../../src/config/check.ts";
import { gatherMaterials } from "../../../src/config/gather-materials.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { explainTerms } from "../../../src/config/rule-fields.ts";
import { evaluate } from "../../../src/proxy/policy/evaluate.ts";
import { compileForTest, listCompileProblems } from "../../support/compile-for-test.ts";
import { makeQuery } from "../../support/make-policy.ts";

const to = ["api.example"];
const env = { env: "TOKEN" };

function listProblems(rule: Readonly<Record<string, unknown>>): string[] {
  const checked = checkConfig({ rules: [rule] });
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

describe("a rule's request and response", () => {
  test.each([
    { to, request: { set: { authorization: env } } },
    { to, request: { set: { authorization: { ...env, prefix: "Bearer " }, "x-tenant": "a" }, remove: ["cookie"] } },
    { to, request: { replace: { "sk-placeholder": env }, allowPlain: true } },
    { to, request: { replace: { "sk-placeholder": { ...env, in: ["x-key"] }, "sk-other-one": "text" } } },
    { to, request: { set: { file: { file: "token.txt" } } } },
    // No secret: it may go anywhere.
    { request: { set: { "x-tenant": "a" } } },
    { response: { set: { "cache-control": "no-store" }, remove: ["set-cookie"] } },
  ])("may be %j", (rule) => {
    expect(listProblems(rule)).toEqual([]);
  });

  test.each([
    ..."Host content-length TRANSFER-ENCODING connection keep-alive te trailer upgrade expect via max-forwards proxy proxy-authorization Proxy-Foo http2-settings proxy_authorization transfer_encoding"
      .split(" ")
      .map(
        (name) => [{ to, request: { set: { [name]: "a" } } }, `rules[0].request.set: "${name}" is written by`] as const,
      ),
    [{ to, request: { remove: ["Host"] } }, 'rules[0].request.remove[0]: "Host" is written by the proxy itself'],
    [{ to, request: { replace: { "sk-placeholder": { ...env, in: ["host"] } } } }, '"host" is written by the proxy'],
    [{ response: { remove: ["content-length"] } }, 'rules[0].response.remove[0]: "content-length" is written by'],
    [{ response: { set: { connection: "close" } } }, 'rules[0].response.set: "connection" is written by'],
    [{ response: { set: { a: "b\r\nc: d" } } }, "rules[0].response.set.a:"],
    [{ to, request: { set: { "Bearer tok-123": "authorization" } } }, "One of the names is no name of a field."],
    [{ to, request: { set: { a: "1", A: "2" } } }, 'rules[0].request.set.A: Found the field "A" twice.'],
    [
      { to, request: { set: { a_b: "1" }, remove: ["a-b"] } },
      'rules[0].request.remove[0]: Found the field "a-b" twice.',
    ],
    [
      { to, request: { set: { authorization: "1" }, replace: { "sk-placeholder": "2" } } },
      'rules[0].request.replace: Found the field "authorization" twice.',
    ],
    [{ to, request: { replace: { short: env } } }, "A placeholder is from 8 to 256 printable characters"],
    [{ to, request: { replace: { "with a space": env } } }, "A placeholder is from 8 to 256 printable characters"],
    [{ to, request: {} }, "rules[0].request: Nothing is changed."],
    [{ request: { set: { authorization: env } } }, "rules[0].request: The rule would send a secret to every host."],
    [
      { to: ["a.example", "*:443"], request: { replace: { "sk-placeholder": env } } },
      "rules[0].request: The rule would send a secret to every host.",
    ],
    [
      { to: ["a.example", "0.0.0.0/0"], request: { set: { authorization: env } } },
      "rules[0].request: The rule would send a secret to every host.",
    ],
    [
      { to: ["[::/0]:443"], request: { set: { authorization: env } } },
      "rules[0].request: The rule would send a secret to every host.",
    ],
    [{ to, deny: true, request: { remove: ["a"] } }, "rules[0].request: The rule denies."],
    [{ to, deny: true, response: { remove: ["a"] } }, "rules[0].response: The rule denies."],
    [{ to, request: { set: { a: 5 } } }, "rules[0].request.set.a: Found something that is no secret."],
    [{ to, request: { set: { a: { env: "A", file: "b" } } } }, 'Found both "env" and "file". Write one of them.'],
    [{ to, request: { set: [] } }, "rules[0].request.set: Found something that is no map."],
  ])("%j is refused", (rule, said) => {
    expect(listProblems(rule).join("\n")).toContain(said);
  });

  test.each(["a\r\nHost: evil", "a\nb", "a\u0000", "a\tb", "tök", " tok", "tok ", "x".repeat(8193)])(
    "a value %j cannot be sent, and is not shown",
    (value) => {
      const rules = [
        { to, request: { set: { authorization: env } } },
        { to, request: { replace: { "sk-placeholder": env } } },
      ];
      const said = listCompileProblems({ rules }, { variables: { TOKEN: value } });
      expect(said).toHaveLength(2);
      expect(said[0]).toStartWith("rules[0].request.set.authorization: The value cannot be sent.");
      expect(said[1]).toStartWith("rules[1].request.replace: The value cannot be sent.");
      expect(said.join("")).not.toContain(value);
    },
  );

  test("a missing variable or file is found, and other names of a rule are none", async () => {
    const raw = {
      rules: [
        {
          name: "a",
          to,
          request: { set: { env: { env: "NONE" }, file: "text" }, replace: { "sk-placeholder": { file: "gone" } } },
        },
        { to: [{ file: "list.txt" }] },
      ],
    };
    const { problems } = await gatherMaterials(raw, { variables: {}, folder: "/", terminal: false }, async () => ({
      ok: false,
      reason: "it does not exist",
    }));
    expect(problems.map(formatProblem)).toEqual([
      'rules[0].request.set.env.env: The environment variable "NONE" is not set. Set it before starting.',
      'rules[0].request.replace["sk-placeholder"].file: Cannot read "gone": it does not exist.',
    ]);
  });

  test("values are redacted, and known as secrets and by their change", () => {
    const rules = [
      { to, request: { set: { a: "plain-secret", b: env }, replace: { "sk-placeholder": "other-secret" } } },
    ];
    const [one, two] = ["first", "second"].map((TOKEN) => compileForTest({ rules }, { variables: { TOKEN } }));
    expect(one?.effective["rules"]).toEqual([
      {
        to,
        request: { set: { a: "[redacted]", b: env }, replace: { "sk-placeholder": "[redacted]" } },
      },
    ]);
    expect(one?.secrets.toSorted()).toEqual(["first", "other-secret", "plain-secret"]);
    expect(one?.fingerprints).not.toEqual(two?.fingerprints);
    expect(JSON.stringify(one?.runtime.policy.rules)).not.toContain("secret");
  });

  test("a rule that changes requests and lets tunnels through is pointed out", () => {
    const request = { remove: ["cookie"] };
    const rules = [
      { to, request },
      { response: request, paths: ["*"], to: ["b.example"] },
      { to: ["c.example"], request, methods: ["GET"] },
      { to: ["d.example"], request, protocols: ["http"] },
    ];
    expect(compileForTest({ rules }).warnings.map(formatProblem)).toEqual([
      expect.stringContaining("rules[0]: The rule lets tunnels through as well (CONNECT, SOCKS)"),
    ]);
  });

  test("explain says what is changed, without values", () => {
    const rule = {
      to,
      request: {
        set: { authorization: "secret" },
        remove: ["cookie"],
        replace: { "sk-placeholder": { ...env, in: ["x-key"] } },
      },
      response: { set: { "cache-control": "no-store" } },
    };
    const { policy } = compileForTest({ rules: [rule] }, { variables: { TOKEN: "t" } }).runtime;
    const evaluation = evaluate(policy, makeQuery("api.example:443"));
    if (evaluation.kind !== "decided" || evaluation.decision.verdict !== "allow") throw new Error("not allowed");
    expect(explainTerms(evaluation.decision)).toBe(
      "forwarded requests with changes (sets authorization; removes cookie; exchanges in x-key); responses with changes (sets cache-control)",
    );
  });
});

describe("a rule's methods and paths", () => {
  test.each([
    { methods: ["GET", "HEAD", "VERSION-CONTROL"], allow: true },
    { paths: ["/", "/v1/*", "*", "*.json", "/caf%C3%A9%20"], deny: true },
  ])("may be %j", (rule) => {
    expect(listProblems(rule)).toEqual([]);
  });

  test.each([
    [{ methods: ["get"] }, 'rules[0].methods[0]: "get" is no method. Write one such as "GET".'],
    [{ methods: ["GET POST"] }, '"GET POST" is no method.'],
    [{ methods: ["CONNECT"] }, '"CONNECT" opens a tunnel'],
    [{ methods: "GET" }, "Put brackets around it."],
    [{ methods: [] }, "Found an empty list."],
    [{ paths: ["v1"] }, 'rules[0].paths[0]: "v1" is no path.'],
    [{ paths: ["/a?b"] }, "is no path. Write one such as"],
    [{ paths: ["/caf\u00e9"] }, "is no path."],
    [{ paths: ["/a/../b"] }, '"/a/../b" matches nothing'],
    [{ paths: ["/a%2Fb"] }, "matches nothing"],
    [{ paths: ["/%61"] }, "matches nothing"],
    [{ paths: ["//*"] }, '"//*" matches nothing'],
  ])("%j is refused", (rule, said) => {
    expect(listProblems({ ...rule, allow: true }).join("\n")).toContain(said);
  });
});
