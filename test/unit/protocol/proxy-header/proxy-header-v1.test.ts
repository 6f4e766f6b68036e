import { describe, expect, test } from "bun:test";
import {
  encodeProxyHeaderV1,
  parseProxyHeaderV1,
  type ProxyHeaderV1,
  type SocketAddress,
} from "../../../../src/protocol/proxy-header/proxy-header-v1.ts";
import { feedParser } from "../../../support/feed-parser.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";

function write({ ip, port }: SocketAddress): string {
  return `${ip.text} ${port}`;
}

/** Both ends and the bytes used, or what else came of it. */
function read(line: string) {
  const parsed = feedParser(parseProxyHeaderV1, Buffer.from(line, "latin1"));
  if (parsed.kind !== "done") return parsed;
  const { value, used } = parsed;
  return value.kind === "local" ? ["local", used] : [write(value.source), write(value.destination), used];
}

function makeAddress(text: string): SocketAddress {
  const { host, port } = makeEndpoint(text);
  if (host.kind !== "ip") throw new Error(text);
  return { ip: host.ip, port };
}

describe("parseProxyHeaderV1()", () => {
  test("reads TCP over IPv4 and over IPv6", () => {
    const four = "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n";
    expect(read(four)).toEqual(["192.168.0.1 56324", "192.168.0.11 443", four.length]);
    const six = "PROXY TCP6 2001:db8::1 ::1 0 65535\r\n";
    expect(read(six)).toEqual(["2001:db8::1 0", "::1 65535", six.length]);
  });

  test("takes a mapped address for the IPv4 address that it is", () => {
    expect(read("PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n")).toEqual(["10.0.0.1 1", "::1 2", 36]);
  });

  test("takes an unknown connection for a local one, whatever follows in the line", () => {
    expect(read("PROXY UNKNOWN\r\n")).toEqual(["local", 15]);
    expect(read("PROXY UNKNOWN ff:: anything\t1 2\r\n")).toEqual(["local", 33]);
  });

  test("reads the longest line and refuses a longer one without waiting for its end", () => {
    const address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    expect(read(`PROXY UNKNOWN ${address} ${address} 65535 65535\r\n`)).toEqual(["local", 107]);
    expect(read(`PROXY UNKNOWN ${"x".repeat(91)}\r\n`)).toEqual(["local", 107]);
    expect(read(`PROXY UNKNOWN ${"x".repeat(92)}`)).toEqual({ kind: "bad", code: "too_long", at: 105 });
    expect(read(`PROXY UNKNOWN ${"x".repeat(92)}\r\n`)).toEqual({ kind: "bad", code: "too_long", at: 105 });
  });

  test("asks for more until the LF", () => {
    expect(read("")).toEqual({ kind: "more" });
    expect(read("PROX")).toEqual({ kind: "more" });
    expect(read("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r")).toEqual({ kind: "more" });
  });

  test("refuses everything else at its first byte that is not of a header", () => {
    expect(read("GET / HTTP/1.1\r\n")).toEqual({ kind: "bad", code: "bad_signature", at: 0 });
    expect(read("PROXZ")).toEqual({ kind: "bad", code: "bad_signature", at: 4 });
    expect(read("proxy TCP4")).toEqual({ kind: "bad", code: "bad_signature", at: 0 });
    expect(read("PROXY\tTCP4")).toEqual({ kind: "bad", code: "bad_signature", at: 5 });
  });

  test("refuses a bare LF and a bare CR", () => {
    expect(read("PROXY UNKNOWN\n")).toEqual({ kind: "bad", code: "bad_line_end", at: 13 });
    expect(read("PROXY UNKNOWN\rx")).toEqual({ kind: "bad", code: "bad_line_end", at: 14 });
  });

  test("refuses other families", () => {
    for (const family of ["UDP4", "tcp4", "TCP", "", " TCP4", "UNKNOWNX"]) {
      expect(read(`PROXY ${family} 1.1.1.1 2.2.2.2 1 2\r\n`)).toMatchObject({ code: "bad_family" });
    }
  });

  test("refuses addresses and ports in any but their canonical spelling", () => {
    for (const rest of [
      "TCP4 1.1.1.1 2.2.2.2 1",
      "TCP4 1.1.1.1 2.2.2.2 1 2 3",
      "TCP4 1.1.1.1 2.2.2.2 1 2 ",
      "TCP4  1.1.1.1 2.2.2.2 1 2",
      "TCP4 01.1.1.1 2.2.2.2 1 2",
      "TCP4 1.1.1 2.2.2.2 1 2",
      "TCP4 1.1.1.1 ::1 1 2",
      "TCP4 ::ffff:1.1.1.1 2.2.2.2 1 2",
      "TCP6 1.1.1.1 2.2.2.2 1 2",
      "TCP6 ::1 ::1%eth0 1 2",
      "TCP6 [::1] ::1 1 2",
      "TCP4 1.1.1.1 2.2.2.2 01 2",
      "TCP4 1.1.1.1 2.2.2.2 65536 2",
      "TCP4 1.1.1.1 2.2.2.2 +1 2",
      "TCP4 1.1.1.1 2.2.2.2 -1 2",
      "TCP4 1.1.1.1 2.2.2.2  2",
      "TCP4",
    ]) {
      expect([rest, read(`PROXY ${rest}\r\n`)]).toEqual([rest, { kind: "bad", code: "bad_address", at: 6 }]);
    }
  });
});

describe("encodeProxyHeaderV1()", () => {
  const encode = (header: ProxyHeaderV1) => Buffer.from(encodeProxyHeaderV1(header)).toString();

  test("writes each family", () => {
    const v4 = { kind: "proxy", source: makeAddress("1.2.3.4:5"), destination: makeAddress("6.7.8.9:10") } as const;
    expect(encode(v4)).toBe("PROXY TCP4 1.2.3.4 6.7.8.9 5 10\r\n");
    const v6 = { kind: "proxy", source: makeAddress("[::1]:5"), destination: makeAddress("[2001:db8::1]:10") } as const;
    expect(encode(v6)).toBe("PROXY TCP6 ::1 2001:db8::1 5 10\r\n");
    expect(encode({ kind: "local" })).toBe("PROXY UNKNOWN\r\n");
  });

  test("maps the IPv4 address of a mixed pair", () => {
    const mixed = { kind: "proxy", source: makeAddress("1.2.3.4:5"), destination: makeAddress("[::1]:10") } as const;
    expect(encode(mixed)).toBe("PROXY TCP6 ::ffff:1.2.3.4 ::1 5 10\r\n");
  });
});
