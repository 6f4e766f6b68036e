import { describe, expect, test } from "bun:test";
import { formatStatus } from "../../../src/cli/status-screen.ts";
import { drawSparkline } from "../../../src/cli/style.ts";
import { formatTunnels } from "../../../src/cli/tunnels-table.ts";
import { findHostile, hostileTexts } from "../../fixtures/hostile-texts.ts";
import { fakeStatus, makeRow } from "../../support/fake-sidecar.ts";

describe("the screen of penstock status", () => {
  test("shows what an operator asks first", () => {
    expect(formatStatus(fakeStatus, undefined, "plain")).toBe(
      [
        "Penstock 1.2.3  serving, ready, for 3h12m (process 4242)",
        "",
        "Listeners     127.0.0.1:8080: 12,345 accepted",
        "Under way     1,234 tunnels, 12 requests, 1,250 connections of at most 10,000",
        "Over          9,000 tunnels, 800 requests, 12,345 connections, 15 failures",
        "Throughput    1.2 MB/s up, 34.5 MB/s down",
        "Moved         5.0 GB up, 70.0 GB down",
        "Set-up        45.2 tunnels/s, 3.0 requests/s, dials p50 12 ms, p99 80 ms",
        "Refused       denied_by_rule 12, dns_error 3, in the last 15 minutes",
        "Upstreams     1 of 4 not healthy",
        "Certificates  proxy.example.org for 12 days",
        "Memory        84.0 MB",
        "",
      ].join("\n"),
    );
  });

  test("says what is not as it should be", () => {
    const warning = "The last reload failed. The configuration before it is in effect. ".repeat(2).trim();
    const text = formatStatus(
      {
        ...fakeStatus,
        phase: "lame_duck",
        ready: false,
        reason: "no_way_out",
        warnings: [warning],
        refusals: {},
        upstreams: { healthy: 0, unhealthy: 0 },
        certificates: [{ name: "old.example", days: -3 }],
      },
      undefined,
      "plain",
    );
    expect(text).toContain("lame duck, not ready: no way out");
    expect(text.replaceAll("\n", " ")).toContain(`Warning: ${warning}`);
    expect(text).toContain("Refused       nothing in the last 15 minutes\n");
    expect(text).toContain("Certificates  old.example ended 3 days ago\n");
    expect(text).not.toContain("Upstreams");
  });

  test("stays within 80 columns and obeys nothing, whatever names and warnings have in them", () => {
    const listeners = hostileTexts.map((address) => ({ address, tls: true, accepted: 1e12 }));
    const certificates = hostileTexts.map((name) => ({ name, days: 5 }));
    const refusals = Object.fromEntries(hostileTexts.map((word) => [word, 1e9]));
    const warnings = [...hostileTexts, "日".repeat(200), `${"x".repeat(200)} y`];
    const text = formatStatus(
      { ...fakeStatus, version: "9".repeat(100), listeners, certificates, refusals, warnings },
      undefined,
      "plain",
    );
    expect(findHostile(text)).toBeUndefined();
    for (const line of text.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
  });

  test("has colours on a terminal alone, and none when NO_COLOR says so", () => {
    const failing = { ...fakeStatus, ready: false };
    expect(formatStatus(failing, undefined, "all")).toContain("\u001b[31m");
    expect(formatStatus(failing, undefined, "none")).not.toMatch(/\[(?:\d+;)*3\d/);
    expect(formatStatus(failing, undefined, "plain")).not.toContain("\u001b");
  });
});

test.each([
  [[0, 1, 2, 4, 8], 5, 1, " ▂▃▅█"],
  [[1, 1], 4, 1, "  ██"],
  [[9, 0, 0, 8, 8], 2, 2, " █"],
  [[], 3, 1, "   "],
  [[0, 0], 2, 1, "  "],
])("the curve of %j in %d columns of %d values is %j", (values, width, per, expected) => {
  expect(drawSparkline(values, width, per)).toBe(expected);
});

describe("the table of tunnels", () => {
  test("has a line for each, and the method of a forwarded request", () => {
    const request = makeRow("abc123-10", { kind: "request", method: "GET", target: "a.example:80", route: "corp" });
    expect(formatTunnels([makeRow("abc123-9"), request])).toBe(
      [
        "ID          USER       TARGET                  ROUTE       AGE       UP     DOWN",
        "abc123-9    alice      example.org:443         direct    1m05s   1.0 kB   2.0 kB",
        "abc123-10   alice      GET a.example:80        corp      1m05s   1.0 kB   2.0 kB",
        "",
      ].join("\n"),
    );
  });

  test("keeps its columns whatever names have in them", () => {
    const rows = [...hostileTexts, "日本語日本語日本語"].map((text) =>
      makeRow("i-1", { user: text, target: text, route: text }),
    );
    const lines = formatTunnels(rows).trimEnd().split("\n");
    for (const line of lines) expect(Bun.stringWidth(line)).toBe(80);
    expect(findHostile(lines.join("\n"))).toBeUndefined();
  });
});
