import { describe, expect, test } from "bun:test";
import { type Cidr, containsIp, parseCidr } from "../../../src/address/cidr.ts";
import { type Ip, parseIp } from "../../../src/address/ip.ts";

function cidr(text: string): Cidr {
  const result = parseCidr(text);
  if (!result.ok) throw new Error(`${text} ${result.reason}`);
  return result.cidr;
}

function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

describe("parseCidr()", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["1.2.3.4", "1.2.3.4/32"],
    ["1.2.3.4/32", "1.2.3.4/32"],
    ["192.0.2.128/25", "192.0.2.128/25"],
    ["::/0", "::/0"],
    ["::1", "::1/128"],
    ["2001:0DB8::/32", "2001:db8::/32"],
    ["2001:db8:8000::/33", "2001:db8:8000::/33"],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
    ["::ffff:0:0/96", "0.0.0.0/0"],
    ["::ffff:1.2.3.4", "1.2.3.4/32"],
    ["::ffff:1.2.3.4/128", "1.2.3.4/32"],
  ])("reads %p as %p", (text, canonical) => {
    expect(cidr(text).text).toBe(canonical);
  });

  test.each([
    ["", "is not an IP address or a range"],
    ["/8", "is not an IP address or a range"],
    ["example.org", "is not an IP address or a range"],
    ["10.0.0/8", "is not an IP address or a range"],
    ["010.0.0.0/8", "is not an IP address or a range"],
    ["[::1]/128", "is not an IP address or a range"],
    ["fe80::1%eth0/64", "is not an IP address or a range"],
    ["10.0.0.0/33", "has no prefix length from 0 to 32"],
    ["10.0.0.0/", "has no prefix length from 0 to 32"],
    ["10.0.0.0/08", "has no prefix length from 0 to 32"],
    ["10.0.0.0/+8", "has no prefix length from 0 to 32"],
    ["10.0.0.0/-1", "has no prefix length from 0 to 32"],
    ["10.0.0.0/8 ", "has no prefix length from 0 to 32"],
    ["10.0.0.0/8/8", "has no prefix length from 0 to 32"],
    ["10.0.0.0/255.0.0.0", "has no prefix length from 0 to 32"],
    ["::/129", "has no prefix length from 0 to 128"],
    ["::ffff:0:0/129", "has no prefix length from 0 to 128"],
    ["::ffff:0:0/80", "mixes IPv4-mapped addresses with others"],
    ["10.0.0.1/8", "has bits set beyond the prefix. Write 10.0.0.0/8, or 10.0.0.1 for the one address"],
    ["1.2.3.4/0", "has bits set beyond the prefix. Write 0.0.0.0/0, or 1.2.3.4"],
    ["2001:db8::1/64", "has bits set beyond the prefix. Write 2001:db8::/64, or 2001:db8::1"],
    ["2001:db8:8000::/32", "has bits set beyond the prefix. Write 2001:db8::/32"],
    ["::ffff:10.0.0.1/104", "has bits set beyond the prefix. Write 10.0.0.0/8, or 10.0.0.1"],
  ])("says of %p that it %s", (text, reason) => {
    const result = parseCidr(text);
    expect(result.ok ? "" : result.reason).toStartWith(reason);
  });
});

describe("containsIp()", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0", true],
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "9.255.255.255", false],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["172.16.0.0/12", "172.31.255.255", true],
    ["172.16.0.0/12", "172.32.0.0", false],
    ["192.0.2.128/25", "192.0.2.127", false],
    ["192.0.2.128/25", "192.0.2.255", true],
    ["1.2.3.4", "1.2.3.4", true],
    ["1.2.3.4", "1.2.3.5", false],
    ["0.0.0.0/0", "255.255.255.255", true],
    ["0.0.0.0/1", "127.255.255.255", true],
    ["0.0.0.0/1", "128.0.0.0", false],
    ["fe80::/10", "febf::1", true],
    ["fe80::/10", "fec0::", false],
    ["::1", "::1", true],
    ["::1", "::2", false],
    ["::/0", "ffff::", true],
    ["10.0.0.0/8", "::ffff:10.1.1.1", true],
  ])("%s holds %s: %p", (range, address, expected) => {
    expect(containsIp(cidr(range), ip(address))).toBe(expected);
  });

  test("keeps the families apart", () => {
    expect(containsIp(cidr("::/0"), ip("1.2.3.4"))).toBe(false);
    expect(containsIp(cidr("0.0.0.0/0"), ip("::1"))).toBe(false);
    expect(containsIp(cidr("::/0"), ip("::ffff:1.2.3.4"))).toBe(false);
  });
});
