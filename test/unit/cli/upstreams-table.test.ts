import { describe, expect, test } from "bun:test";
import { formatUpstreams } from "../../../src/cli/upstreams-table.ts";

/** A proxy that a PAC file named, as the sidecar has it. */
function makeProxy(name: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { name, health: "healthy", since_ms: 5000, connections: 0, failed: 0, ejections: 0, weight: 1, ...more };
}

const pac = {
  name: "corp",
  kind: "pac",
  from: "https://pac.corp.example/proxy.pac",
  last_read: { age_ms: 300_000 },
  last_change: { age_ms: 7_200_000 },
  queries: 1,
  failed_queries: 0,
};

describe("the table of an upstream with a PAC file", () => {
  test("shows the file, and the proxies that it named", () => {
    const long = makeProxy("http://a-very-long-name.corp.example:8080", { health: "ejected", reason: "tls_error" });
    expect(formatUpstreams([{ ...pac, members: [long, makeProxy("http://10.0.0.7:8080")] }])).toBe(
      [
        "corp  pac: https://pac.corp.example/proxy.pac",
        "    1 of 2 proxies healthy, 1 request, 0 refused",
        "    read 5m ago, changed 2h ago",
        "  MEMBER                   HEALTH   SINCE  CONNS  FAILED EJECTED P50/P99 MS",
        "  http://a-very-long-name.corp.example:8080",
        "                           ejected     5s      0       0       0          -",
        "    tls_error",
        "  http://10.0.0.7:8080     healthy     5s      0       0       0          -",
        "",
      ].join("\n"),
    );
  });

  test("has twenty of many, and says how many more there are", () => {
    const members = Array.from({ length: 1000 }, (_, at) => makeProxy(`http://10.0.0.7:${at + 1}`));
    const lines = formatUpstreams([{ ...pac, members }]).split("\n");
    expect(lines).toHaveLength(4 + 20 + 2);
    expect(lines.at(-3)).toStartWith("  http://10.0.0.7:20 ");
    expect(lines.at(-2)).toBe("  and 980 more; --json has them all");
  });

  test("says what is wrong with the file now, or else what was wrong last", () => {
    const last = { reason: "answered with 404", age_ms: 60_000 };
    const failed = { ...pac, members: [], last_failure: last };
    expect(formatUpstreams([failed])).toContain("\n    last failure 1m ago: answered with 404\n");
    expect(formatUpstreams([{ ...failed, fault: "answered with 404" }])).toContain(
      "\n    now: the file answered with 404\n",
    );
  });

  test("lets no character of a name, a reason or a path reach the terminal raw", () => {
    const odd = "http://x\u001b[2J\u202e\r\n.example:1";
    const printed = formatUpstreams([
      { ...pac, from: `/etc/${odd}`, fault: odd, members: [makeProxy(odd, { health: "down", reason: odd })] },
    ]);
    for (const raw of ["\u001b", "\u202e", "\r"]) expect(printed).not.toContain(raw);
    for (const line of printed.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });
});
