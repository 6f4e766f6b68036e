import { describe, expect, test } from "bun:test";
import { formatTargetAuthority, formatTraceTarget, parseTraceTarget } from "../../../../src/cli/trace/trace-request.ts";

describe("parseTraceTarget()", () => {
  test.each([
    ["https://example.org", "https://example.org/"],
    ["HTTPS://EXAMPLE.org:443/a?b=c#d", "https://example.org/a?b=c"],
    ["example.org", "https://example.org/"],
    ["example.org:8443/x", "https://example.org:8443/x"],
    ["http://example.org:80", "http://example.org/"],
    ["http://example.org?q", "http://example.org/?q"],
    ["https://bücher.example:444/", "https://xn--bcher-kva.example:444/"],
    ["https://192.0.2.1/", "https://192.0.2.1/"],
    ["https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443/"],
    ["[2001:db8::1]", "https://[2001:db8::1]/"],
  ])("reads %s", (text, url) => {
    const target = parseTraceTarget(text);
    if (typeof target === "string") throw new Error(target);
    expect(formatTraceTarget(target)).toBe(url);
  });

  test.each([
    ["ftp://example.org", '"ftp://example.org" is not a URL of http or https.'],
    ["https://u:p@example.org", "The URL has credentials, which a trace does not send. Leave them out."],
    ["https://example.org/ä", "The path has characters that must be percent-encoded."],
    ["https://", '"https://" names no server: '],
    ["https://exa mple", "The URL names no server: "],
    ["https://example.org:0", '"https://example.org:0" names no server: '],
    ["https://0x7f.1", '"https://0x7f.1" names no server: '],
  ])("refuses %s", (text, message) => {
    expect(parseTraceTarget(text)).toStartWith(message);
  });
});

describe("formatTargetAuthority()", () => {
  test("leaves out the usual port only", () => {
    const authority = (url: string) => {
      const target = parseTraceTarget(url);
      return typeof target === "string" ? target : formatTargetAuthority(target);
    };
    expect(authority("https://example.org:443")).toBe("example.org");
    expect(authority("http://example.org:443")).toBe("example.org:443");
    expect(authority("https://[::1]")).toBe("[::1]");
  });
});
