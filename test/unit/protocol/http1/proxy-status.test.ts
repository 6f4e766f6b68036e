import { describe, expect, test } from "bun:test";
import { formatProxyStatus } from "../../../../src/protocol/http1/proxy-status.ts";

describe("formatProxyStatus()", () => {
  test("writes the proxy alone", () => {
    expect(formatProxyStatus({ proxy: "penstock" })).toBe("penstock");
  });

  test("writes all parameters in order, tokens bare and texts in quotes", () => {
    const status = {
      proxy: "penstock",
      error: "http_request_denied",
      nextHop: "proxy.corp:3128",
      receivedStatus: 407,
      details: "denied_by_rule",
    };
    expect(formatProxyStatus(status)).toBe(
      'penstock; error=http_request_denied; next-hop="proxy.corp:3128"; received-status=407; details="denied_by_rule"',
    );
  });

  test("quotes the name of a proxy that is not a token", () => {
    expect(formatProxyStatus({ proxy: "10.0.0.7" })).toBe('"10.0.0.7"');
    expect(formatProxyStatus({ proxy: "edge one" })).toBe('"edge one"');
    expect(formatProxyStatus({ proxy: "edge.example:8080/a" })).toBe("edge.example:8080/a");
    expect(formatProxyStatus({ proxy: "" })).toBe('""');
  });

  test("escapes quotes and backslashes", () => {
    expect(formatProxyStatus({ proxy: "p", details: 'say "no" \\ yes' })).toBe('p; details="say \\"no\\" \\\\ yes"');
  });

  test("lets nothing break out of the field", () => {
    expect(formatProxyStatus({ proxy: "p", details: "a\r\nSet-Cookie: b\0\x7f" })).toBe(
      'p; details="a??Set-Cookie: b??"',
    );
    expect(formatProxyStatus({ proxy: "p\r\n", nextHop: "bücher.example" })).toBe('"p??"; next-hop="b?cher.example"');
    expect(formatProxyStatus({ proxy: "p", details: "😀!" })).toBe('p; details="?!"');
  });

  test("shortens long texts", () => {
    const value = formatProxyStatus({ proxy: "p", details: "x".repeat(10_000) });
    expect(value).toBe(`p; details="${"x".repeat(253)}..."`);
  });

  test("throws for an error that is not a token", () => {
    expect(() => formatProxyStatus({ proxy: "p", error: "a b" })).toThrow('error "a b" is not a token');
    expect(() => formatProxyStatus({ proxy: "p", error: "" })).toThrow("is not a token");
  });

  test("throws for a received status that is none", () => {
    for (const receivedStatus of [0, 99, 1000, 200.5, Number.NaN]) {
      expect(() => formatProxyStatus({ proxy: "p", receivedStatus })).toThrow("is not between 100 and 999");
    }
  });
});
