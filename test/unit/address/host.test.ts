import { describe, expect, test } from "bun:test";
import { describeHostError, formatName, type HostResult, parseHost, toAsciiHost } from "../../../src/address/host.ts";

/** `kind text`, or the code it is refused with. */
function summary(result: HostResult): string {
  return result.ok ? `${result.host.kind} ${result.host.text}` : result.code;
}

describe("parseHost()", () => {
  test.each([
    ["Example.ORG.", "name example.org"],
    ["_srv.a-b.x", "name _srv.a-b.x"],
    ["127.0.0.1", "ip 127.0.0.1"],
    ["[::1]", "ip ::1"],
    ["[::ffff:127.0.0.1]", "ip 127.0.0.1"],
    ["xn--bcher-kva.example", "name xn--bcher-kva.example"],
    ["", "empty"],
    ["::1", "bad_ipv6"],
    ["[127.0.0.1]", "bad_ipv6"],
    ["[fe80::1%25eth0]", "zone_id"],
    ["127.1", "ambiguous_ipv4"],
    ["bücher.example", "bad_character"],
    ["example.org:80", "bad_ipv6"],
    ["user@example.org", "bad_character"],
    ["a..b", "empty_label"],
    ["-a", "name -a"],
    ["xn--a", "bad_label"],
    ["\u212Aelvin.example", "bad_character"],
  ])("reads %p as %s", (text, expected) => {
    expect(summary(parseHost(text))).toBe(expected);
  });

  test("remembers the dot of an absolute name, which is no part of its text", () => {
    const absolute = parseHost("Intra.");
    expect(absolute).toEqual({ ok: true, host: { kind: "name", text: "intra", absolute: true } });
    expect(absolute.ok ? formatName(absolute.host) : "").toBe("intra.");
    const completed = parseHost("intra");
    expect(completed).toEqual({ ok: true, host: { kind: "name", text: "intra" } });
    expect(completed.ok ? formatName(completed.host) : "").toBe("intra");
  });

  test("counts 63 characters a label and 253 a name, without the trailing dot", () => {
    const label = "a".repeat(63);
    const name = `${label}.${label}.${label}.${"a".repeat(61)}`;
    expect(summary(parseHost(name))).toBe(`name ${name}`);
    expect(summary(parseHost(`${name}.`))).toBe(`name ${name}`);
    expect(summary(parseHost(`${name}a`))).toBe("name_too_long");
    expect(summary(parseHost(`${label}a.b`))).toBe("label_too_long");
  });

  test("answers a megabyte without effort beyond one look", () => {
    expect(summary(parseHost("a.".repeat(500_000)))).toBe("name_too_long");
    expect(summary(parseHost("1.".repeat(500_000)))).toBe("ambiguous_ipv4");
    expect(summary(parseHost(`[${":".repeat(1_000_000)}]`))).toBe("bad_ipv6");
    // Each of many different letters costs a look at all of them.
    const letters = String.fromCodePoint(...Array.from({ length: 20_000 }, (_, at) => 0x4e00 + at));
    expect(summary(toAsciiHost(letters.repeat(50)))).toBe("name_too_long");
  });
});

describe("toAsciiHost()", () => {
  test.each([
    ["bücher.example", "name xn--bcher-kva.example"],
    ["BÜCHER.example", "name xn--bcher-kva.example"],
    ["例え。テスト", "name xn--r8jz45g.xn--zckzah"],
    ["faß.de", "name xn--fa-hia.de"],
    ["Example.org", "name example.org"],
    ["127.0.0.1", "ip 127.0.0.1"],
    ["::1", "ip ::1"],
    ["[::1]", "ip ::1"],
    ["::ffff:10.0.0.1", "ip 10.0.0.1"],
    ["", "empty"],
    ["127.1", "ambiguous_ipv4"],
    ["１２７.0.0.1", "ambiguous_ipv4"],
    ["１２７.1", "ambiguous_ipv4"],
    ["bücher .example", "bad_character"],
    ["bücher.example/x", "bad_character"],
    ["bü%63her.example", "bad_character"],
    ["℀.example", "bad_label"],
    ["bü＠cher.example", "bad_label"],
    ["\ud800.example", "bad_label"],
    ["ü".repeat(80), "label_too_long"],
    ["fe80::1%eth0", "bad_character"],
  ])("reads %p as %s", (text, expected) => {
    expect(summary(toAsciiHost(text))).toBe(expected);
  });
});

test("describeHostError() continues a sentence", () => {
  expect(describeHostError("empty")).toBe("the host is empty");
});
