import { describe, expect, test } from "bun:test";
import { formatCombinedLine, formatSquidLine } from "../../../../src/proxy/record/access-formats.ts";
import type { AccessRecord } from "../../../../src/proxy/record/access-record.ts";

const tunnel = {
  time: "2026-11-28T16:43:36.123Z",
  id: "a-1",
  stage: "tunnel",
  listener: "127.0.0.1:8080",
  client: "10.0.0.9:51234",
  user: "alice",
  protocol: "http",
  method: "CONNECT",
  target: "example.org:443",
  dialled: "93.184.216.34:443",
  route: "direct",
  status: 200,
  end: "closed",
  bytesUp: 517,
  bytesDown: 4096,
  ms: 1234.567,
  stageMs: {},
} as unknown as AccessRecord;

describe("formatSquidLine()", () => {
  const squid = (more: Partial<AccessRecord> = {}) => formatSquidLine({ ...tunnel, ...more });

  test("has the columns of Squid", () => {
    expect(squid()).toBe(
      "1795884216.123   1235 10.0.0.9 TCP_TUNNEL/200 4096 CONNECT example.org:443 alice HIER_DIRECT/93.184.216.34 -",
    );
    expect(squid({ route: "corp", dialled: "[2001:db8::1]:3128", client: "[::1]:5" })).toBe(
      "1795884216.123   1235 ::1 TCP_TUNNEL/200 4096 CONNECT example.org:443 alice FIRSTUP_PARENT/2001:db8::1 -",
    );
    expect(squid({ method: "GET", scheme: "http", target: "example.org:80", end: undefined })).toContain(
      " TCP_MISS/200 4096 GET http://example.org/ alice ",
    );
    expect(squid({ method: "GET", scheme: "https", target: "example.org:8443", end: undefined })).toContain(
      " GET https://example.org:8443/ ",
    );
  });

  test("names what was refused, and what the client gave up, as Squid does", () => {
    const refused = { dialled: undefined, route: undefined, end: undefined, bytesDown: 0 };
    expect(squid({ ...refused, status: 407, detail: "credentials_required", user: undefined })).toBe(
      "1795884216.123   1235 10.0.0.9 TCP_DENIED/407 0 CONNECT example.org:443 - HIER_NONE/- -",
    );
    // Its scheme is read after the login.
    expect(squid({ ...refused, status: 407, method: "GET", target: "example.org:80", user: "mallory" })).toContain(
      " TCP_DENIED/407 0 GET http://example.org/ mallory ",
    );
    expect(squid({ ...refused, status: 403, detail: "denied_by_rule" })).toContain(" TCP_DENIED/403 ");
    expect(squid({ ...refused, status: 502, detail: "connection_refused" })).toContain(" TCP_TUNNEL/502 ");
    expect(
      squid({
        ...refused,
        status: 400,
        detail: "malformed_request",
        target: undefined,
        method: undefined,
        user: undefined,
      }),
    ).toBe("1795884216.123   1235 10.0.0.9 NONE_NONE/400 0 NONE error:invalid-request - HIER_NONE/- -");
    expect(squid({ end: "client_reset" })).toContain(" TCP_TUNNEL_ABORTED/200 ");
    expect(squid({ status: undefined })).toContain("/000 ");
  });
});

describe("formatCombinedLine()", () => {
  test("has the columns of Apache's combined format", () => {
    expect(formatCombinedLine(tunnel)).toBe(
      '10.0.0.9 - alice [28/Nov/2026:16:43:36 +0000] "CONNECT example.org:443 HTTP/1.1" 200 4096 "-" "-"',
    );
    expect(formatCombinedLine({ ...tunnel, user: undefined, target: undefined, status: undefined, bytesDown: 0 })).toBe(
      '10.0.0.9 - - [28/Nov/2026:16:43:36 +0000] "-" - - "-" "-"',
    );
  });
});

test("no name of a user, a method or a target makes another column or another line", () => {
  const hostile = 'a b"c\\d\n%[e]é\u202e';
  const record = { ...tunnel, user: hostile, method: "CONNECT", target: `${hostile}:443` };
  for (const line of [formatSquidLine(record), formatCombinedLine(record)]) {
    expect(line).toMatch(/^[\x20-\x7e]*$/);
    expect(line).toContain("a%20b%22c%5Cd%0A%25[e]%C3%A9%E2%80%AE");
  }
  expect(formatSquidLine(record).split(/ +/)).toHaveLength(10);
});
