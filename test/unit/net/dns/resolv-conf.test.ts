import { describe, expect, test } from "bun:test";
import { listCandidates, parseResolvConf } from "../../../../src/net/dns/resolv-conf.ts";

describe("parseResolvConf()", () => {
  test("reads name servers, the search list and options", () => {
    const text =
      "# nameserver 192.0.2.9\nnameserver 192.0.2.1\nnameserver\t2001:DB8::53 \nnameserver fe80::1%eth0\nsearch corp.test lab.test\noptions ndots:2 timeout:3 attempts:4 rotate use-vc no-aaaa edns0\n";
    expect(parseResolvConf(text, "host")).toEqual({
      servers: ["192.0.2.1", "2001:DB8::53", "fe80::1%eth0"],
      search: ["corp.test", "lab.test"],
      ndots: 2,
      timeoutMs: 3000,
      attempts: 4,
      rotate: true,
      useTcp: true,
      noAaaa: true,
      noTldQuery: false,
    });
  });

  test("asks this machine when no name server is named", () => {
    for (const text of ["", "nameserver dns.example\n", ";nameserver 192.0.2.1\n", " nameserver 192.0.2.1\n"])
      expect(parseResolvConf(text, "host").servers).toEqual(["127.0.0.1"]);
  });

  test("asks three name servers and no more", () => {
    const text = [1, 2, 3, 4].map((at) => `nameserver 192.0.2.${at}\n`).join("");
    expect(parseResolvConf(text, "host").servers).toHaveLength(3);
  });

  test("takes the domain of the machine for a search list only when there is none", () => {
    expect(parseResolvConf("", "host.corp.test").search).toEqual(["corp.test"]);
    expect(parseResolvConf("domain lab.test\n", "host.corp.test").search).toEqual(["lab.test"]);
    expect(parseResolvConf("search lab.test\nsearch \n", "host.corp.test").search).toEqual(["lab.test"]);
  });

  test("keeps options within bounds, and passes over what has no number", () => {
    expect(parseResolvConf("options ndots:99 timeout:99 attempts:99\n", "")).toMatchObject({
      ndots: 15,
      timeoutMs: 30_000,
      attempts: 5,
    });
    expect(parseResolvConf("options ndots timeout:0 attempts:0\n", "")).toMatchObject({
      ndots: 1,
      timeoutMs: 1000,
      attempts: 1,
    });
  });

  test("drops search domains that are no names, and keeps sixteen", () => {
    expect(parseResolvConf("search corp.test a..b 192.0.2.1 x/y .\n", "").search).toEqual(["corp.test", ""]);
    const words = Array.from({ length: 99 }, (_, at) => `d${at}.test`).join(" ");
    expect(parseResolvConf(`search ${words}\n`, "").search).toHaveLength(16);
  });
});

describe("listCandidates()", () => {
  const conf = { search: ["one.test", "two.test"], ndots: 1, noTldQuery: false };

  test("tries a name with enough dots as it is first", () => {
    expect(listCandidates("www.a", false, conf)).toEqual({
      names: ["www.a", "www.a.one.test", "www.a.two.test"],
      asAsked: 0,
    });
  });

  test("tries a name with too few dots as it is last", () => {
    expect(listCandidates("www", false, conf)).toEqual({ names: ["www.one.test", "www.two.test", "www"], asAsked: 2 });
    expect(listCandidates("www", false, { ...conf, noTldQuery: true })).toEqual({
      names: ["www.one.test", "www.two.test"],
      asAsked: -1,
    });
  });

  test("completes no absolute name", () => {
    expect(listCandidates("www", true, conf)).toEqual({ names: ["www"], asAsked: 0 });
  });

  test("leaves out what would be too long", () => {
    const name = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(53)}`;
    expect(listCandidates(name, false, conf).names).toEqual([name]);
  });
});
