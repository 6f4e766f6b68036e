import { describe, expect, test } from "bun:test";
import { parseNameServers } from "../../../src/net/system-resolver.ts";

describe("parseNameServers()", () => {
  test("reads the addresses of the nameserver lines in order", () => {
    const text = "# nameserver 192.0.2.9\nsearch example.org\nnameserver 192.0.2.1\nnameserver\t2001:DB8::53 \n";
    expect(parseNameServers(text)).toEqual(["192.0.2.1", "2001:db8::53"]);
  });

  test("leaves out what is no address of another machine", () => {
    expect(
      parseNameServers("nameserver fe80::1%eth0\nnameserver dns.example\nnameserver\n;nameserver 192.0.2.1"),
    ).toEqual([]);
  });
});
