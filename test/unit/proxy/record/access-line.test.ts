import { describe, expect, test } from "bun:test";
import {
  formatBytes,
  formatDuration,
  formatJsonLine,
  formatTextLine,
} from "../../../../src/proxy/record/access-line.ts";
import { type AccessRecord, buildAccessRecord } from "../../../../src/proxy/record/access-record.ts";
import type { RequestRecord } from "../../../../src/proxy/record/request-record.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { makeRequestRecord } from "../../../support/make-record.ts";

/** The record of a tunnel that took 12.3 seconds, with `facts` on top. */
function makeRecord(facts: Partial<RequestRecord> = {}): AccessRecord {
  const session = makeRequestRecord({
    id: "k3v9q1-7",
    startedAt: new Date(2026, 0, 2, 12, 3, 31, 700).getTime(),
    acceptedAt: 0,
    stageSince: 0,
    stage: "tunnel",
    protocol: "http",
    method: "CONNECT",
    target: makeEndpoint("example.org:443"),
    user: "alice",
    decision: { verdict: "allow", rule: "default", allowPrivate: false, via: ["corp"] },
    route: { name: "corp", hops: [] },
    dialled: { ip: makeIp("192.0.2.7"), port: 3128 },
    status: 200,
    tunnel: { end: "closed", bytesUp: 1_234_000, bytesDown: 3_400_000 },
    ...facts,
  });
  return buildAccessRecord(session, 12_300);
}

const refused = makeRecord({
  route: undefined,
  tunnel: undefined,
  stage: "decide",
  status: 403,
  failure: { detail: "address_prohibited", note: "10.1.2.3 is private" },
});

describe("formatJsonLine()", () => {
  test("writes snake_case keys in a fixed order and leaves out what is not known", () => {
    const line = formatJsonLine(makeRecord());
    expect(Object.keys(JSON.parse(line) as object)).toEqual([
      "time",
      "id",
      "stage",
      "listener",
      "client",
      "user",
      "protocol",
      "method",
      "target",
      "dialled",
      "rule",
      "route",
      "status",
      "end",
      "bytes_up",
      "bytes_down",
      "ms",
      "stage_ms",
    ]);
    expect(Object.keys(JSON.parse(formatJsonLine(refused)) as object)).toContainValues(["error", "detail", "note"]);
  });

  test("writes one line whatever the values hold", () => {
    const line = formatJsonLine(makeRecord({ user: "a\r\nb\u2028c\u0085d" }));
    expect(line).toMatch(/^[\x20-\x7e]+$/);
    expect((JSON.parse(line) as { user: string }).user).toBe("a\r\nb\u2028c\u0085d");
  });

  test.each([
    ["a control character", "\u001b[2J", String.raw`\u001b[2J`],
    ["DEL", "\u007f", String.raw`\u007f`],
    ["C1", "\u009b31m", String.raw`\u009b31m`],
    ["a bidirectional override", "\u202egnp.exe", String.raw`\u202egnp.exe`],
    ["a bidirectional isolate", "\u2066", String.raw`\u2066`],
    ["a line separator", "\u2028", String.raw`\u2028`],
    ["a paragraph separator", "\u2029", String.raw`\u2029`],
    ["a zero-width space", "\u200b", String.raw`\u200b`],
    ["a lone surrogate", "\ud800", String.raw`\ud800`],
    ["a tag character", "\u{e0041}", String.raw`\udb40\udc41`],
  ])("escapes %s", (_, value, escaped) => {
    expect(formatJsonLine(makeRecord({ user: value }))).toContain(`"user":"${escaped}"`);
  });

  test("leaves letters of any script readable", () => {
    expect(formatJsonLine(makeRecord({ user: "žofie 李" }))).toContain('"user":"žofie 李"');
  });

  test("bounds the length of what peers make up", () => {
    const line = formatJsonLine(makeRecord({ user: "u".repeat(10_000), method: "M".repeat(10_000) }));
    expect(line.length).toBeLessThan(2000);
    expect((JSON.parse(line) as { user: string }).user).toBe(`${"u".repeat(511)}…`);
  });

  test("does not cut a surrogate pair in half", () => {
    const line = formatJsonLine(makeRecord({ user: "x".repeat(510) + "😀".repeat(10) }));
    expect((JSON.parse(line) as { user: string }).user).toBe(`${"x".repeat(510)}…`);
  });
});

describe("formatTextLine()", () => {
  test("reads as one sentence", () => {
    expect(formatTextLine(makeRecord())).toBe(
      "12:03:44 200 alice    10.0.0.9        → example.org:443 via corp 1.2 MB↑ 3.4 MB↓ 12.3 s closed [k3v9q1-7]",
    );
  });

  test("has the parameters of the user name after the route, and JSON has them apart from the user", () => {
    const record = makeRecord({ parameters: { session: "a1", country: "de" } });
    expect(formatTextLine(record)).toContain(" → example.org:443 via corp session=a1 country=de 1.2 MB↑ ");
    expect(JSON.parse(formatJsonLine(record))).toMatchObject({
      user: "alice",
      parameters: { session: "a1", country: "de" },
    });
  });

  test("says why a connection was refused", () => {
    expect(formatTextLine(refused)).toBe(
      "12:03:44 403 alice    10.0.0.9        → example.org:443 12.3 s " +
        'address_prohibited (destination_ip_prohibited): "10.1.2.3 is private" [k3v9q1-7]',
    );
  });

  test("says a word once when the type and the reason are the same", () => {
    const record = makeRecord({
      tunnel: undefined,
      route: { name: "a > b", hops: [] },
      status: 502,
      failure: { detail: "dns_error", nextHop: "b" },
    });
    expect(formatTextLine(record)).toEndWith("→ example.org:443 via a > b 12.3 s dns_error at b [k3v9q1-7]");
  });

  test("keeps its columns when little is known", () => {
    const record = makeRecord({
      user: undefined,
      target: undefined,
      route: undefined,
      tunnel: undefined,
      status: undefined,
      failure: { detail: "client_gone" },
    });
    expect(formatTextLine(record)).toStartWith("12:03:44 --- -        10.0.0.9        → - 12.3 s client_gone");
  });

  test("shows the method and the bytes of a forwarded request", () => {
    const record = makeRecord({ method: "GET", scheme: "http", tunnel: undefined, forwarded: { up: 99, down: 2048 } });
    expect(formatTextLine(record)).toContain("→ GET example.org:443 via corp 99 B↑ 2.0 kB↓ 12.3 s [");
  });

  test("lets no user name pass for another column", () => {
    const line = formatTextLine(makeRecord({ user: "bob 10.0.0.1 → evil.example:1\n12:00:00 200 root" }));
    expect(line).not.toContain("\n");
    expect(line).toContain('200 "bob 10.0.0.1 → evil.example:1\\n12:00:00 200 root" 10.0.0.9');
  });

  test("escapes what a terminal would act upon", () => {
    const line = formatTextLine(makeRecord({ user: 'a"\u001b]0;title\u0007\u202e' }));
    expect(line).toContain(String.raw`"a\"\u001b]0;title\u0007\u202e"`);
  });
});

describe("formatBytes()", () => {
  test.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [999_949, "999.9 kB"],
    [999_950, "1.0 MB"],
    [20_500_000, "20.5 MB"],
    [7.3e9, "7.3 GB"],
    [8e15, "8000.0 TB"],
  ])("writes %d as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe("formatDuration()", () => {
  test.each([
    [0, "0.0 ms"],
    [9.94, "9.9 ms"],
    [9.96, "10 ms"],
    [999.4, "999 ms"],
    [999.6, "1.0 s"],
    [59_949, "59.9 s"],
    [59_951, "1m 00s"],
    [125_000, "2m 05s"],
    [3_599_600, "1h 00m"],
    [11_520_000, "3h 12m"],
    [90_000_000, "25h 00m"],
  ])("writes %d ms as %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});
