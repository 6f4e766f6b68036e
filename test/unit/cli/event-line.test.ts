import { describe, expect, test } from "bun:test";
import { formatEventLine } from "../../../src/cli/event-line.ts";

const time = new Date(2026, 10, 28, 12, 3, 44).toISOString();

describe("formatEventLine()", () => {
  test("shows requests with what people look for", () => {
    const base = {
      v: 1,
      event_id: "o-1",
      time,
      id: "k3-7",
      user: "alice",
      client: "10.0.0.9:5000",
      target: "a.example:443",
    };
    const format = (more: Record<string, unknown>) => formatEventLine({ ...base, ...more });
    expect(format({ event: "tunnel_opened", method: "CONNECT", route: "direct", status: 200, ms: 12.3 })).toBe(
      "12:03:44 tunnel_opened alice    10.0.0.9 → a.example:443 in 12 ms [k3-7]",
    );
    expect(
      format({
        event: "tunnel_ended",
        method: "CONNECT",
        route: "exits",
        member: "exits/10.0.0.7:1080",
        bytes_up: 1200,
        bytes_down: 3_400_000,
        ms: 12_300,
        end: "closed",
      }),
    ).toBe(
      "12:03:44 tunnel_ended  alice    10.0.0.9 → a.example:443 via exits/10.0.0.7:1080 1.2 kB↑ 3.4 MB↓ 12.3 s closed [k3-7]",
    );
    expect(format({ event: "refused", status: 403, detail: "denied_by_rule", note: "rule no-mail" })).toBe(
      "12:03:44 refused       alice    10.0.0.9 → a.example:443 403 denied_by_rule (rule no-mail) [k3-7]",
    );
    expect(format({ event: "request_done", method: "GET", status: 200, bytes_up: 100, bytes_down: 2000, ms: 5 })).toBe(
      "12:03:44 request_done  alice    10.0.0.9 → GET a.example:443 200 100 B↑ 2.0 kB↓ 5.0 ms [k3-7]",
    );
  });

  test("shows what else happens, and what a later version may tell", () => {
    expect(
      formatEventLine({
        event: "upstream",
        time,
        change: "health",
        upstream: "exits",
        member: "b:1080",
        state: "ejected",
        reason: "refused",
        failures: 3,
      }),
    ).toBe("12:03:44 upstream      exits: b:1080 is ejected after 3 failures (refused)");
    expect(formatEventLine({ event: "reload", time, result: "invalid", problems: ["one", "two"] })).toBe(
      "12:03:44 reload        result: invalid. problems: one; two.",
    );
    expect(formatEventLine({ event: "lost", count: 3 })).toBe(
      "--:--:-- lost          3 events, because this reader was too slow",
    );
    expect(formatEventLine({ event: "news", time, what: { a: 1 } })).toBe('12:03:44 news          what: {"a":1}.');
  });

  test("shows nothing that a terminal would obey", () => {
    const line = formatEventLine({
      event: "refused",
      time,
      user: "\u001b[2J",
      client: "a\u202e:1",
      target: "x\ny",
      id: "\u0007",
    });
    expect(line).not.toMatch(/[\p{Cc}\u202e]/u);
  });
});
