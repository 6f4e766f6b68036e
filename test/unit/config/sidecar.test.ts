import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { type Permission, pickToken } from "../../../src/config/sidecar.ts";
import { compileForTest, listCompileProblems } from "../../support/compile-for-test.ts";

const reader = { name: "grafana", token: "reader", may: ["read"] };
const operator = { name: "ops", token: { env: "OPS" }, may: ["read", "operate"] };

function listTokens(sidecar: object, variables: Record<string, string> = {}): unknown[] {
  const compiled = compileForTest({ sidecar: { port: 9080, ...sidecar } }, { variables }).sidecar;
  return (compiled?.tokens ?? []).map(({ name, token, may }) => [name, token.reveal(), ...may]);
}

function listProblems(sidecar: object, variables: Record<string, string> = {}): string[] {
  return listCompileProblems({ sidecar: { port: 9080, ...sidecar } }, { variables });
}

describe("the tokens of the sidecar", () => {
  test("are those with a role, behind the one that may do everything", () => {
    expect(listTokens({ token: "all", tokens: [reader, operator] }, { OPS: "operator" })).toEqual([
      [undefined, "all", "read", "operate", "capture"],
      ["grafana", "reader", "read"],
      ["ops", "operator", "read", "operate"],
    ]);
  });

  test("are not shown", () => {
    const { effective } = compileForTest({ sidecar: { port: 1, tokens: [reader] } });
    expect(effective["sidecar"]).toEqual({ port: 1, tokens: [{ ...reader, token: "[redacted]" }] });
  });

  test("are all secrets that no message may have", () => {
    const sidecar = { port: 1, token: "all", tokens: [reader, operator] };
    const { secrets } = compileForTest({ sidecar }, { variables: { OPS: "operator" } });
    expect(secrets).toEqual(expect.arrayContaining(["all", "reader", "operator"]));
  });

  test("must differ, wherever they are written", () => {
    const twice = { ...operator, token: "reader" };
    expect(listProblems({ tokens: [reader, twice] })).toEqual([
      "sidecar.tokens[1].token: Found the same token as in sidecar.tokens[0].token. Give each its own.",
    ]);
    expect(listProblems({ token: { env: "A" }, tokens: [reader, operator] }, { A: "one", OPS: "one" })).toEqual([
      "sidecar.tokens[1].token: Found the same token as in sidecar.token. Give each its own.",
    ]);
  });

  test("must be of characters that a client can send", () => {
    for (const token of ["a b", "tab\there", "ä", "line\n"])
      expect(listProblems({ tokens: [{ ...reader, token }] })).toEqual([
        expect.stringContaining("sidecar.tokens[0].token: The token has a space"),
      ]);
  });

  test("are enough beyond loopback", () => {
    expect(listProblems({ host: "0.0.0.0", tokens: [reader] })).toEqual([]);
  });

  test("do not become the one that may do everything through the variable for the commands", () => {
    const variables = { PENSTOCK_SIDECAR_TOKEN: "reader" };
    // As the variable sets it.
    expect(listTokens({ token: "reader", tokens: [reader] }, variables)).toEqual([["grafana", "reader", "read"]]);
    expect(listTokens({ token: "other", tokens: [reader] }, variables)[0]).toEqual([
      undefined,
      "other",
      "read",
      "operate",
      "capture",
    ]);
  });
});

describe("a token with a role", () => {
  test.each<[string, unknown]>([
    [
      'sidecar.tokens[0]: Found a text. Write a map such as { name: "grafana", token: { env: "NAME" }, may: ["read"] }.',
      ["hunter2"],
    ],
    [
      'sidecar.tokens[0].may: Required. Write a list of "read", "operate" and "capture".',
      [{ name: "a", token: "hunter2" }],
    ],
    [
      'sidecar.tokens[0].may[0]: Found "reed". Write one of "read", "operate", "capture". Did you mean "read"?',
      [{ ...reader, may: ["reed"] }],
    ],
    ["sidecar.tokens[0].may: Found an empty list.", [{ ...reader, may: [] }]],
    ['sidecar.tokens[0].name: "a b" is not a name for a token.', [{ ...reader, name: "a b" }]],
    [
      'sidecar.tokens[1].name: Found "grafana" twice. Give each token a name of its own.',
      [reader, { ...operator, name: "grafana" }],
    ],
    ["sidecar.tokens: Found a map. Write a list of maps", reader],
    ["sidecar.tokens: Found an empty list.", []],
  ])("is refused with %s", (message, tokens) => {
    const checked = checkConfig({ sidecar: { port: 1, tokens } });
    const problems = checked.ok ? [] : checked.problems.map(formatProblem);
    expect(problems).toEqual([expect.stringContaining(message)]);
    expect(problems[0]).not.toContain("hunter2");
  });
});

describe("TLS of the sidecar", () => {
  const tls = { cert: "cert.pem", key: "key.pem" };

  test("is not for a Unix socket", () => {
    const checked = checkConfig({ sidecar: { unix: "a.sock", tls } });
    expect(checked.ok ? [] : checked.problems.map(formatProblem)).toEqual([
      'sidecar.tls: A Unix socket needs no TLS: only its owner can connect. Leave out "tls" or "unix".',
    ]);
  });

  test("needs certificates that can be read", () => {
    const files = new Map(["cert.pem", "key.pem", "ca.pem"].map((name) => [name, "nothing"]));
    const sidecar = { port: 1, tls: { ...tls, clientCa: "ca.pem", ca: "ca.pem", client: tls } };
    expect(listCompileProblems({ sidecar }, { files })).toEqual([
      'sidecar.tls.cert: "cert.pem" has no certificate in PEM form.',
      'sidecar.tls.key: "key.pem" has no unencrypted private key in PEM form.',
      'sidecar.tls.clientCa: "ca.pem" has no certificate in PEM form.',
      'sidecar.tls.ca: "ca.pem" has no certificate in PEM form.',
      'sidecar.tls.client.cert: "cert.pem" has no certificate in PEM form.',
      'sidecar.tls.client.key: "key.pem" has no unencrypted private key in PEM form.',
    ]);
  });

  test.each([
    ["0.0.0.0", 1],
    ["10.0.0.1", 1],
    ["127.0.0.1", 0],
    ["::1", 0],
  ])("is recommended on %s: %d", (host, count) => {
    const { warnings } = compileForTest({ sidecar: { port: 1, host, token: "t" } });
    const told = warnings.map(formatProblem).filter((text) => text.startsWith("sidecar.host: Beyond loopback"));
    expect(told).toHaveLength(count);
  });
});

describe("where the sidecar listens", () => {
  test.each<[message: string, sidecar: object]>([
    ['sidecar: Neither "port" nor "unix" is set. Write "port: 9080", or', {}],
    ['sidecar: Both "port" and "unix" are set. Leave one of them out.', { port: 1, unix: "a" }],
    ["sidecar.host: A Unix socket has no host.", { unix: "a", host: "::1" }],
    ['sidecar.host: Cannot bind "0.0.0.0": the sidecar has no token.', { port: 1, host: "0.0.0.0" }],
    ['sidecar.host: "example.org" names no address to bind.', { port: 1, host: "example.org", token: "t" }],
  ])("is checked: %s", (message, sidecar) => {
    const checked = checkConfig({ sidecar });
    expect(checked.ok ? "" : checked.problems.map(formatProblem).join("\n")).toContain(message);
  });
});

describe("pickToken", () => {
  const plan = compileForTest(
    { sidecar: { port: 1, tokens: [reader, operator] } },
    { variables: { OPS: "o" } },
  ).sidecar;

  test.each<[Permission, string | undefined]>([
    ["read", "reader"],
    ["operate", "o"],
    ["capture", undefined],
  ])("finds a token that may %s", (permission, token) => {
    expect(plan && pickToken(plan, permission)?.reveal()).toBe(token);
  });
});
