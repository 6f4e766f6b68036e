import { describe, expect, test } from "bun:test";
import { parseCidr } from "../../../../src/address/cidr.ts";
import { type DirectPattern, writePac } from "../../../../src/protocol/pac/write-pac.ts";
import { openPac } from "../../../support/open-pac.ts";

function range(text: string): DirectPattern {
  const parsed = parseCidr(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return { kind: "cidr", cidr: parsed.cidr };
}

const direct: readonly DirectPattern[] = [
  { kind: "suffix", suffix: "corp.example" },
  { kind: "name", name: "intranet" },
  range("10.0.0.0/8"),
  range("192.168.4.0/22"),
  range("198.51.100.7"),
  range("2001:db8:8000::/33"),
];

describe("the PAC file for browsers", () => {
  test("without exceptions has the proxies and nothing else", () => {
    expect(writePac(["PROXY 192.0.2.1:3128", "SOCKS5 192.0.2.1:1080"], [])).toBe(
      'function FindProxyForURL(url, host) {\n  return "PROXY 192.0.2.1:3128; SOCKS5 192.0.2.1:1080";\n}\n',
    );
  });

  test.each([
    ["www.corp.example", true],
    ["WWW.Corp.Example.", true],
    ["corp.example", false],
    ["evilcorp.example", false],
    ["intranet", true],
    ["intranet.example", false],
    ["10.255.0.1", true],
    ["11.0.0.1", false],
    ["192.168.7.255", true],
    ["192.168.8.0", false],
    ["198.51.100.7", true],
    ["198.51.100.8", false],
    ["2001:db8:8000::1", true],
    ["2001:db8:ffff:1:2:3:4:5", true],
    ["2001:db8:7fff::1", false],
    ["2001:db8::", false],
    ["[2001:db8:8000::1]", true],
    ["::1", false],
    ["10.0.0.1.example", false],
    ["10.0.0", false],
  ])("leads %s directly: %p", async (host, isDirect) => {
    using pac = await openPac(writePac(["PROXY 192.0.2.1:3128"], direct));
    expect(await pac.find(`https://${host}/`, host)).toEqual({
      kind: "answer",
      text: isDirect ? "DIRECT" : "PROXY 192.0.2.1:3128",
    });
  });
});
