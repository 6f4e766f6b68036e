import { describe, expect, test } from "bun:test";
import {
  describeEndpointError,
  type EndpointResult,
  formatEndpoint,
  formatHost,
  parseAuthority,
  parseHostField,
  sameHost,
} from "../../../src/address/endpoint.ts";
import { hostFromIp, parseHost } from "../../../src/address/host.ts";
import { parseIp } from "../../../src/address/ip.ts";
import { classifyThrough, WELL_KNOWN_PREFIX } from "../../../src/proxy/policy/nat64.ts";
import { targets } from "../../fixtures/targets.ts";

function summary(result: EndpointResult): string {
  return result.ok ? formatEndpoint(result.endpoint) : result.code;
}

describe("parseAuthority()", () => {
  // Encoded and cut, so that no control character reaches a terminal.
  const rows = targets.map((row) => ({ ...row, shown: encodeURI(row.target).slice(0, 60) }));
  test.each(rows)("gives $shown ($why) what the table says", ({ target, gets }) => {
    const result = parseAuthority(target);
    if ("ok" in gets) {
      expect(summary(result)).toBe(gets.ok);
      const host = result.ok ? result.endpoint.host : undefined;
      expect(host?.kind === "ip" ? classifyThrough(host.ip, WELL_KNOWN_PREFIX).kind : undefined).toBe(gets.class);
    } else if ("as" in gets) {
      expect(summary(result)).toBe(gets.as);
      const host = result.ok ? result.endpoint.host : undefined;
      expect(host?.kind === "ip" ? classifyThrough(host.ip, WELL_KNOWN_PREFIX).kind : undefined).toBe(gets.refused);
    } else {
      expect(result).toEqual({ ok: false, code: gets.refused });
    }
  });

  test("has a table of 150 spellings and more, each once", () => {
    expect(targets.length).toBeGreaterThanOrEqual(150);
    expect(new Set(targets.map((row) => row.target)).size).toBe(targets.length);
  });

  test("refuses every octet that no host has, wherever it stands", () => {
    for (let octet = 0; octet < 256; octet++) {
      const char = String.fromCharCode(octet);
      if (/[A-Za-z0-9._-]/.test(char)) continue;
      for (const target of [
        `${char}example.org:80`,
        `exam${char}ple.org:80`,
        `127.0.0.1${char}:80`,
        `[::1${char}]:80`,
        `[::1]${char}:80`,
      ]) {
        // A colon is part of IPv6, and "[::1]" after it is another story.
        if (char === ":" || char === "]" || (char === "[" && target.startsWith("["))) continue;
        expect([target, parseAuthority(target).ok]).toEqual([target, false]);
      }
      expect([octet, parseAuthority(`example.org:8${char}0`).ok]).toEqual([octet, false]);
      expect([octet, parseAuthority(`example.org:80${char}`).ok]).toEqual([octet, false]);
    }
  });
});

describe("parseHostField()", () => {
  test.each([
    ["example.org", "example.org:80"],
    ["Example.org:8080", "example.org:8080"],
    ["example.org:", "example.org:80"],
    ["[::1]", "[::1]:80"],
    ["[::1]:", "[::1]:80"],
    ["[::1]:81", "[::1]:81"],
    ["127.0.0.1", "127.0.0.1:80"],
    ["", "empty"],
    [":", "empty"],
    [":80", "empty"],
    ["example.org:0", "port_invalid"],
    ["example.org:080", "port_invalid"],
    ["user@example.org", "userinfo"],
    ["::1", "bad_ipv6"],
    ["[::1]x", "bad_ipv6"],
    ["example.org, example.com", "bad_character"],
    ["example.org ", "bad_character"],
    ["127.1", "ambiguous_ipv4"],
  ])("reads %p as %p", (text, expected) => {
    expect(summary(parseHostField(text, 80))).toBe(expected);
  });
});

describe("formatHost() and sameHost()", () => {
  test("IPv6 has brackets, the rest has none", () => {
    const format = (text: string) => {
      const result = parseHost(text);
      return result.ok ? formatHost(result.host) : result.code;
    };
    expect(format("[2001:DB8::1]")).toBe("[2001:db8::1]");
    expect(format("10.0.0.1")).toBe("10.0.0.1");
    expect(format("Example.org")).toBe("example.org");
  });

  test.each([
    ["example.org", "EXAMPLE.ORG.", true],
    ["[::ffff:7f00:1]", "127.0.0.1", true],
    ["[0::1]", "[::1]", true],
    ["example.org", "www.example.org", false],
    ["127.0.0.1", "127.0.0.2", false],
  ])("%s and %s are the same host: %p", (a, b, expected) => {
    const [first, second] = [parseHost(a), parseHost(b)];
    expect(first.ok && second.ok && sameHost(first.host, second.host)).toBe(expected);
  });

  test("a name is never the same as an address", () => {
    const ip = parseIp("127.0.0.1");
    if (!ip) throw new Error("unreachable");
    expect(sameHost(hostFromIp(ip), { kind: "name", text: ip.text })).toBe(false);
  });
});

test("describeEndpointError() explains codes of hosts and of its own", () => {
  expect(describeEndpointError("port_missing")).toStartWith("a port is required");
  expect(describeEndpointError("zone_id")).toContain("zone id");
});
