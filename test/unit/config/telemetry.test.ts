import { describe, expect, test } from "bun:test";
import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { redact } from "../../../src/config/secrets.ts";
import { compileForTest } from "../../support/compile-for-test.ts";

function listProblems(telemetry: unknown): string[] {
  const checked = checkConfig({ telemetry });
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

const otlp = "https://collector.example";

describe("the settings of telemetry", () => {
  test.each<[string, object, string]>([
    ["a listener", { otlp: "http://127.0.0.1:8080" }, "a listener of this proxy"],
    ["a listener by its name", { otlp: "http://localhost:8080/otlp" }, "a listener of this proxy"],
    ["a listener on every interface", { otlp: "http://127.0.0.1:3128" }, "a listener of this proxy"],
    ["a listener of IPv6", { otlp: "http://[::1]:3128" }, "a listener of this proxy"],
    ["a listener at the port of the scheme", { otlp: "https://127.0.0.1" }, "a listener of this proxy"],
    ["the sidecar", { otlp: "http://127.0.0.1:9080" }, "the sidecar of this proxy"],
  ])("with %s as the collector are refused", (_, telemetry, what) => {
    const listen = ["127.0.0.1:8080", "[::]:3128", "127.0.0.1:443"];
    const checked = checkConfig({ listen, open: true, sidecar: { port: 9080 }, telemetry });
    expect(checked.ok ? [] : checked.problems.map(formatProblem)).toEqual([
      `telemetry.otlp: The address is that of ${what}, which takes no telemetry. Write that of a collector, such as "http://127.0.0.1:4318".`,
    ]);
  });

  test("may have a collector on another machine, at the port of a listener on every interface", () => {
    const listen = ["0.0.0.0:4318"];
    expect(checkConfig({ listen, open: true, telemetry: { otlp: "http://10.0.0.5:4318" } }).ok).toBe(true);
    expect(checkConfig({ listen, open: true, telemetry: { otlp: "http://collector.example:4318" } }).ok).toBe(true);
  });

  test.each<[string, unknown, string]>([
    [
      "no collector",
      {},
      'telemetry.otlp: Required. Write the address of a collector, such as "http://127.0.0.1:4318".',
    ],
    [
      "no scheme",
      { otlp: "collector:4318" },
      'telemetry.otlp: The address cannot be read. Write one such as "http://127.0.0.1:4318".',
    ],
    [
      "credentials in the address",
      { otlp: "https://u:geheim@collector.example" },
      'telemetry.otlp: The address has credentials. Write them in "headers", as { authorization: { env: "NAME" } }.',
    ],
    [
      "the path of a signal",
      { otlp: `${otlp}/v1/traces` },
      "telemetry.otlp: The address has the path of one signal. Leave out what begins with /v1: it is added for each.",
    ],
    [
      "a query",
      { otlp: `${otlp}/?key=geheim` },
      'telemetry.otlp: The address has a query or a fragment. Write one such as "http://127.0.0.1:4318", and secrets in "headers".',
    ],
    ["a part beyond the whole", { otlp, sample: 1.5 }, "telemetry.sample: Found 1.5. Write a number from 0 to 1."],
    [
      "a field that says what is sent",
      { otlp, headers: { "Content-Type": "x" } },
      'telemetry.headers["Content-Type"]: The proxy writes this field itself. Leave it out.',
    ],
    [
      "a field that is no name",
      { otlp, headers: { "x key": "geheim" } },
      'telemetry.headers["…"]: This is no name of a field. Write one such as "x-api-key".',
    ],
    [
      "authorities without TLS",
      { otlp: "http://127.0.0.1:4318", ca: "ca.pem" },
      'telemetry.ca: There is no TLS to check. Write "https://" in "otlp", or leave "ca" out.',
    ],
  ])("with %s are refused", (_, telemetry, message) => {
    expect(listProblems(telemetry)).toEqual([message]);
    expect(message).not.toContain("geheim");
  });

  test("become a plan, with the values of fields from where they are", () => {
    const { telemetry, warnings, secrets } = compileForTest(
      {
        telemetry: {
          otlp: `${otlp}:8443/otlp/`,
          headers: { authorization: { env: "KEY" }, file: { file: "key.txt" }, "x-team": "edge" },
          trustFrom: ["10.0.0.0/8"],
          every: "15s",
        },
      },
      { variables: { KEY: "Bearer s3cret" }, files: new Map([["key.txt", "filed\n"]]) },
    );
    expect(telemetry).toMatchObject({
      url: "https://collector.example:8443/otlp",
      sample: 0.01,
      service: "penstock",
      metricsMs: 15_000,
      ca: undefined,
    });
    expect(telemetry?.headers.map(([name, value]) => [name, value.reveal()])).toEqual([
      ["authorization", "Bearer s3cret"],
      ["file", "filed"],
      ["x-team", "edge"],
    ]);
    expect(secrets).toEqual(expect.arrayContaining(["Bearer s3cret", "filed", "edge"]));
    expect(warnings).toEqual([]);
  });

  test("are shown without the values of fields", () => {
    const headers = { authorization: "Bearer s3cret", "x-key": { env: "KEY" } };
    expect(redact({ telemetry: { otlp, headers } })).toEqual({
      telemetry: { otlp, headers: { authorization: "[redacted]", "x-key": { env: "KEY" } } },
    });
  });

  test("warn of a collector elsewhere that is told in clear", () => {
    const warn = (address: string) => compileForTest({ telemetry: { otlp: address } }).warnings.map(({ path }) => path);
    expect(warn("http://collector.example:4318")).toEqual([["telemetry", "otlp"]]);
    expect(warn("http://127.0.0.1:4318")).toEqual([]);
    expect(warn("http://[::1]:4318")).toEqual([]);
    expect(warn("http://localhost:4318")).toEqual([]);
  });
});
