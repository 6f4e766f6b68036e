import { describe, expect, test } from "bun:test";
import { ipFromBytes, parseIp } from "../../../src/address/ip.ts";

describe("parseIp()", () => {
  test.each([
    ["0.0.0.0", [0, 0, 0, 0]],
    ["255.255.255.255", [255, 255, 255, 255]],
    ["192.168.1.20", [192, 168, 1, 20]],
  ])("reads the dotted quad %p", (text, bytes) => {
    expect(parseIp(text)).toEqual({ family: 4, text, bytes: Uint8Array.from(bytes) });
  });

  test.each([
    "",
    "1",
    "1.2",
    "1.2.3",
    "1.2.3.",
    ".1.2.3",
    "1..2.3",
    "1.2.3.4.",
    "1.2.3.4.5",
    "256.1.1.1",
    "1.1.1.256",
    "1.1.1.1000",
    "01.1.1.1",
    "1.1.1.00",
    "1.1.1.01",
    "0x1.1.1.1",
    "1.1.1.a",
    "1.1.1.1 ",
    " 1.1.1.1",
    "1,1.1.1",
    "1.1.1.-1",
    "+1.1.1.1",
    "1.1.1.1\0",
    "١.1.1.1",
    "1.1.1.1/32",
    "[1.1.1.1]",
    "localhost",
  ])("refuses %p as IPv4", (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  // RFC 5952 §4 by section, then what inet_pton takes.
  test.each([
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:DB8::AbCd", "2001:db8::abcd"],
    ["::", "::"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["0:0:1::", "0:0:1::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["::1.2.3.4", "::102:304"],
    ["fe80::", "fe80::"],
    ["ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ])("reads %p as %p", (text, canonical) => {
    const ip = parseIp(text);
    expect(ip).toMatchObject({ family: 6, text: canonical });
    expect(ip?.bytes).toHaveLength(16);
  });

  test.each([
    ":",
    ":::",
    "1",
    "1:",
    ":1",
    "::1:",
    ":1::",
    "1:::2",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8:",
    "1:2:3:4::5:6:7:8",
    "::1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8::",
    "12345::",
    "::g",
    "::-1",
    ":: 1",
    "::1 ",
    " ::1",
    "[::1]",
    "::1%lo",
    "::1%",
    "::1/128",
    "::1.2.3",
    "::1.2.3.4.5",
    "::01.2.3.4",
    "::1.2.3.256",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::a.2.3.4",
    "::.1.2.3",
    "::\0",
    `${"0:".repeat(30)}0`,
  ])("refuses %p as IPv6", (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  test.each(["::ffff:10.1.2.3", "::FFFF:a01:203", "0:0:0:0:0:ffff:0a01:0203", "::ffff:0a01:203"])(
    "unmaps %p",
    (text) => {
      expect(parseIp(text)).toEqual({ family: 4, text: "10.1.2.3", bytes: Uint8Array.of(10, 1, 2, 3) });
    },
  );

  test.each(["::ffff:0:10.1.2.3", "::10.1.2.3", "1::ffff:10.1.2.3", "::fffe:10.1.2.3", "::1:ffff:10.1.2.3"])(
    "does not unmap %p",
    (text) => {
      expect(parseIp(text)?.family).toBe(6);
    },
  );
});

describe("ipFromBytes()", () => {
  test("reads 4 bytes and 16 bytes", () => {
    expect(ipFromBytes(Uint8Array.of(8, 8, 4, 4)).text).toBe("8.8.4.4");
    expect(ipFromBytes(Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)).text).toBe("2001:db8::1");
  });

  test("unmaps an IPv4-mapped address", () => {
    expect(ipFromBytes(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1))).toEqual({
      family: 4,
      text: "127.0.0.1",
      bytes: Uint8Array.of(127, 0, 0, 1),
    });
  });

  test("keeps its own copy of the bytes", () => {
    const buffer = new Uint8Array(20);
    const four = ipFromBytes(buffer.subarray(0, 4));
    const sixteen = ipFromBytes(buffer.subarray(4, 20));
    buffer.fill(0xee);
    expect(four.bytes).toEqual(new Uint8Array(4));
    expect(sixteen.bytes).toEqual(new Uint8Array(16));
  });

  test.each([0, 3, 5, 15, 17])("throws for %p bytes", (length) => {
    expect(() => ipFromBytes(new Uint8Array(length))).toThrow(RangeError);
  });
});
