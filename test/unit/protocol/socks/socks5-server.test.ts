import { describe, expect, test } from "bun:test";
import { formatEndpoint } from "../../../../src/address/endpoint.ts";
import { parseIp } from "../../../../src/address/ip.ts";
import {
  encodeSocks5Choice,
  encodeSocks5PasswordStatus,
  encodeSocks5Reply,
  parseSocks5Greeting,
  parseSocks5Password,
  parseSocks5Request,
} from "../../../../src/protocol/socks/socks5-server.ts";
import { feedParser } from "../../../support/feed-parser.ts";

describe("parseSocks5Greeting()", () => {
  const parse = (...bytes: number[]) => feedParser(parseSocks5Greeting, Uint8Array.from(bytes));

  test("finds the methods that exist here among any others", () => {
    expect(parse(5, 1, 0)).toEqual({ kind: "done", value: { noAuth: true, password: false }, used: 3 });
    expect(parse(5, 3, 1, 0x80, 2)).toEqual({ kind: "done", value: { noAuth: false, password: true }, used: 5 });
    const all = Array.from({ length: 255 }, (_, method) => method);
    expect(parse(5, 255, ...all)).toEqual({ kind: "done", value: { noAuth: true, password: true }, used: 257 });
  });

  test("reads a greeting without any method", () => {
    expect(parse(5, 0)).toEqual({ kind: "done", value: { noAuth: false, password: false }, used: 2 });
  });

  test("asks for more until the last method", () => {
    expect(parse()).toEqual({ kind: "more" });
    expect(parse(5)).toEqual({ kind: "more" });
    expect(parse(5, 2, 0)).toEqual({ kind: "more" });
  });

  test("refuses another version at its first byte", () => {
    for (const version of [0, 4, 6, 0x16, 0x43])
      expect(parse(version)).toEqual({ kind: "bad", code: "bad_version", at: 0 });
  });
});

test("encodeSocks5Choice() gives each method its number", () => {
  expect([...encodeSocks5Choice("no_auth")]).toEqual([5, 0]);
  expect([...encodeSocks5Choice("password")]).toEqual([5, 2]);
  expect([...encodeSocks5Choice("none_acceptable")]).toEqual([5, 255]);
});

describe("parseSocks5Password()", () => {
  const parse = (...bytes: number[]) => feedParser(parseSocks5Password, Uint8Array.from(bytes));
  /** User and password, or what else came of it. */
  function read(...bytes: number[]) {
    const parsed = parse(...bytes);
    return parsed.kind === "done" ? [parsed.value.user, parsed.value.password.reveal(), parsed.used] : parsed;
  }

  test("reads UTF-8 in both parts", () => {
    expect(read(1, 2, 0xc3, 0xbc, 2, 0x70, 0x77)).toEqual(["ü", "pw", 7]);
  });

  test("reads the longest and the empty ones", () => {
    const long = Array<number>(255).fill(97);
    expect(read(1, 255, ...long, 255, ...long)).toEqual(["a".repeat(255), "a".repeat(255), 513]);
    expect(read(1, 0, 0)).toEqual(["", "", 3]);
  });

  test("asks for more until the last byte of the password", () => {
    expect(parse(1, 1, 97)).toEqual({ kind: "more" });
    expect(parse(1, 1, 97, 2, 98)).toEqual({ kind: "more" });
  });

  test("refuses another version", () => {
    expect(parse(5)).toEqual({ kind: "bad", code: "bad_version", at: 0 });
  });

  test("reads what is not UTF-8 as ISO-8859-1", () => {
    expect(read(1, 1, 0xfc, 1, 97)).toEqual(["ü", "a", 5]);
    expect(read(1, 1, 97, 2, 0xfc, 0xff)).toEqual(["a", "üÿ", 6]);
  });

  test("prints no password", () => {
    expect(JSON.stringify(parse(1, 1, 97, 2, 0x70, 0x77))).not.toContain("pw");
  });
});

test("encodeSocks5PasswordStatus() gives 0 for yes and 1 for no", () => {
  expect([...encodeSocks5PasswordStatus(true)]).toEqual([1, 0]);
  expect([...encodeSocks5PasswordStatus(false)]).toEqual([1, 1]);
});

describe("parseSocks5Request()", () => {
  const parse = (...bytes: number[]) => feedParser(parseSocks5Request, Uint8Array.from(bytes));
  const named = (name: string, port = 443) =>
    parse(5, 1, 0, 3, name.length, ...Buffer.from(name, "latin1"), port >> 8, port & 255);
  /** The target, or its code. */
  function readTarget(parsed: ReturnType<typeof parse>): string {
    if (parsed.kind !== "done") return parsed.kind;
    return parsed.value.target.ok ? formatEndpoint(parsed.value.target.endpoint) : parsed.value.target.code;
  }

  test("reads an IPv4 address", () => {
    const parsed = parse(5, 1, 0, 1, 192, 0, 2, 1, 1, 187);
    expect(parsed).toMatchObject({ kind: "done", used: 10, value: { command: "connect" } });
    expect(readTarget(parsed)).toBe("192.0.2.1:443");
  });

  test("reads an IPv6 address, and unmaps a mapped one", () => {
    const parsed = parse(5, 1, 0, 4, 0x20, 1, 0x0d, 0xb8, ...Array<number>(11).fill(0), 1, 0, 80);
    expect(parsed).toMatchObject({ kind: "done", used: 22 });
    expect(readTarget(parsed)).toBe("[2001:db8::1]:80");
    const mapped = parse(5, 1, 0, 4, ...Array<number>(10).fill(0), 255, 255, 127, 0, 0, 1, 0, 80);
    expect(readTarget(mapped)).toBe("127.0.0.1:80");
  });

  test("reads a name by the one canonicaliser", () => {
    expect(named("Example.ORG.")).toMatchObject({ kind: "done", used: 19 });
    expect(readTarget(named("Example.ORG."))).toBe("example.org.:443");
  });

  test("reads addresses in place of a name", () => {
    expect(readTarget(named("192.0.2.1"))).toBe("192.0.2.1:443");
    expect(readTarget(named("2001:db8::1"))).toBe("[2001:db8::1]:443");
    expect(readTarget(named("[2001:DB8::1]"))).toBe("[2001:db8::1]:443");
    expect(readTarget(named("::ffff:127.0.0.1"))).toBe("127.0.0.1:443");
  });

  test("tells of a target that is no endpoint, with the request used up", () => {
    expect(readTarget(named(""))).toBe("empty");
    expect(readTarget(named("2130706433"))).toBe("ambiguous_ipv4");
    expect(readTarget(named("0x7f.1"))).toBe("ambiguous_ipv4");
    expect(readTarget(named("a\0b"))).toBe("bad_character");
    expect(readTarget(named("b\u00fccher.example"))).toBe("bad_character");
    expect(readTarget(named("user@host"))).toBe("bad_character");
    expect(readTarget(named("fe80::1%eth0"))).toBe("bad_character");
    expect(readTarget(named("example.org", 0))).toBe("port_invalid");
    expect(readTarget(parse(5, 1, 0, 1, 192, 0, 2, 1, 0, 0))).toBe("port_invalid");
    expect(named("a\0b")).toMatchObject({ kind: "done", used: 10 });
  });

  test("names every command", () => {
    const commands = [0, 1, 2, 3, 4, 255].map((command) => {
      const parsed = parse(5, command, 0, 1, 0, 0, 0, 0, 0, 0);
      return parsed.kind === "done" && parsed.value.command;
    });
    expect(commands).toEqual(["unknown", "connect", "bind", "udp_associate", "unknown", "unknown"]);
  });

  test("asks for more until the last byte of the port", () => {
    expect(parse(5, 1, 0, 3, 1, 97, 0)).toEqual({ kind: "more" });
    expect(parse(5, 1, 0, 4, 0)).toEqual({ kind: "more" });
    expect(parse(5)).toEqual({ kind: "more" });
  });

  test("refuses another version, a reserved byte in use, an unknown address type", () => {
    expect(parse(4)).toEqual({ kind: "bad", code: "bad_version", at: 0 });
    expect(parse(5, 1, 1)).toEqual({ kind: "bad", code: "bad_reserved", at: 2 });
    for (const type of [0, 2, 5, 255]) {
      expect(parse(5, 1, 0, type)).toEqual({ kind: "bad", code: "address_type_not_supported", at: 3 });
    }
  });

  test("keeps nothing of the caller's buffer", () => {
    const bytes = Buffer.of(5, 1, 0, 1, 192, 0, 2, 1, 1, 187);
    const parsed = parseSocks5Request(bytes);
    bytes.fill(0);
    expect(readTarget(parsed)).toBe("192.0.2.1:443");
    expect(parsed.kind === "done" && parsed.value.target.ok && parsed.value.target.endpoint.host).toMatchObject({
      ip: { bytes: Uint8Array.of(192, 0, 2, 1) },
    });
  });
});

describe("encodeSocks5Reply()", () => {
  test("gives each code its number, with no address to tell", () => {
    expect([...encodeSocks5Reply("succeeded")]).toEqual([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    expect(encodeSocks5Reply("general_failure")[1]).toBe(1);
    expect(encodeSocks5Reply("not_allowed")[1]).toBe(2);
    expect(encodeSocks5Reply("connection_refused")[1]).toBe(5);
    expect(encodeSocks5Reply("command_not_supported")[1]).toBe(7);
    expect(encodeSocks5Reply("address_type_not_supported")[1]).toBe(8);
  });

  test("tells the bound address of either family", () => {
    const bound = (text: string) => {
      const ip = parseIp(text);
      if (!ip) throw new Error(text);
      return { ip, port: 0x1234 };
    };
    expect([...encodeSocks5Reply("succeeded", bound("192.0.2.1"))]).toEqual([5, 0, 0, 1, 192, 0, 2, 1, 0x12, 0x34]);
    expect([...encodeSocks5Reply("succeeded", bound("::1"))]).toEqual([
      5,
      0,
      0,
      4,
      ...Array<number>(15).fill(0),
      1,
      0x12,
      0x34,
    ]);
  });
});
