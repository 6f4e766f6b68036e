import { describe, expect, test } from "bun:test";

import { parseTargetPattern } from "../../../src/config/target-pattern.ts";

function read(text: string) {
  const parsed = parseTargetPattern(text);
  if (!parsed.ok) return parsed.reason;
  const { host, ports } = parsed.value;
  return { host: host.kind === "cidr" ? `cidr ${host.cidr.text}` : host, ports };
}

describe("parseTargetPattern()", () => {
  test.each([
    ["*", { kind: "any" }, []],
    ["*:25", { kind: "any" }, [[25, 25]]],
    ["*:*", { kind: "any" }, []],
    ["example.org", { kind: "name", name: "example.org" }, []],
    ["Example.ORG.", { kind: "name", name: "example.org" }, []],
    ["example.org:443", { kind: "name", name: "example.org" }, [[443, 443]]],
    ["example.org:8000-8999", { kind: "name", name: "example.org" }, [[8000, 8999]]],
    [
      "example.org:80,443,8000-8999",
      { kind: "name", name: "example.org" },
      [
        [80, 80],
        [443, 443],
        [8000, 8999],
      ],
    ],
    ["*.npmjs.org:443", { kind: "suffix", suffix: "npmjs.org" }, [[443, 443]]],
    ["bücher.example", { kind: "name", name: "xn--bcher-kva.example" }, []],
    ["*.bücher.example", { kind: "suffix", suffix: "xn--bcher-kva.example" }, []],
    ["10.20.0.0/16", "cidr 10.20.0.0/16", []],
    ["10.20.0.0/16:22", "cidr 10.20.0.0/16", [[22, 22]]],
    ["192.0.2.1", "cidr 192.0.2.1/32", []],
    ["192.0.2.1:80", "cidr 192.0.2.1/32", [[80, 80]]],
    ["2001:db8::/32", "cidr 2001:db8::/32", []],
    ["::1", "cidr ::1/128", []],
    ["[::1]", "cidr ::1/128", []],
    ["[::1]:443", "cidr ::1/128", [[443, 443]]],
    ["[2001:db8::/32]:443", "cidr 2001:db8::/32", [[443, 443]]],
  ] as const)("reads %p", (text, host, ports) => {
    expect<unknown>(read(text)).toEqual({ host, ports });
  });

  test.each([
    ["", "cannot be matched: the host is empty"],
    [":443", "cannot be matched: the host is empty"],
    ["example.org:", "no valid ports"],
    ["example.org:0", "no valid ports"],
    ["example.org:65536", "no valid ports"],
    ["example.org:90-80", "no valid ports"],
    ["example.org:080", "no valid ports"],
    ["example.org:80,", "no valid ports"],
    ["example.org:80:90", "more than one colon"],
    ["[::1", "more than one colon"],
    ["[::1]443", "more than one colon"],
    ["*.*", "cannot be matched"],
    ["a.*.org", "star in the middle"],
    ["*example.org", "star in the middle"],
    [".example.org", 'Write "*.example.org"'],
    ["*.10.0.0.1", "before an address"],
    ["10.0.0.1/8", "bits set beyond the prefix"],
    ["10.0.0.0/33", "no prefix length"],
    ["1.2.3", "is not an IP address or a range"],
    ["0x7f.1", "cannot be matched"],
    ["exa mple.org", "cannot be matched"],
    ["http://example.org", "no valid ports"],
    ["user@example.org", "cannot be matched"],
  ])("refuses %p, saying why", (text, reason) => {
    expect(read(text)).toContain(reason);
  });
});
