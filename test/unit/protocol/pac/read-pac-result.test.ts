import { describe, expect, test } from "bun:test";
import { describeChoice, readPacResult } from "../../../../src/protocol/pac/read-pac-result.ts";

function read(text: string | undefined): string[] | string {
  const result = readPacResult(text);
  return result.ok ? result.choices.map(describeChoice) : result.reason;
}

describe("the answer of FindProxyForURL", () => {
  test.each([
    [undefined, ["direct"]],
    ["", ["direct"]],
    [" ; ;", ["direct"]],
    ["DIRECT", ["direct"]],
    ["direct", ["direct"]],
    [
      "PROXY w3proxy.netscape.com:8080; PROXY mozilla.netscape.com:8081",
      ["http://w3proxy.netscape.com:8080", "http://mozilla.netscape.com:8081"],
    ],
    ["PROXY a.example:8080; DIRECT", ["http://a.example:8080", "direct"]],
    ["proxy A.Example:8080;direct;", ["http://a.example:8080", "direct"]],
    ["\t PROXY\t  a.example:8080 \n;\r\n DIRECT ", ["http://a.example:8080", "direct"]],
    ["PROXY a.example", ["http://a.example:80"]],
    ["PROXY a.example:", ["http://a.example:80"]],
    ["HTTP a.example:8080", ["http://a.example:8080"]],
    ["HTTPS a.example", ["https://a.example:443"]],
    ["HTTPS a.example:8443", ["https://a.example:8443"]],
    ["SOCKS a.example", ["socks5h://a.example:1080"]],
    ["SOCKS5 a.example:9050", ["socks5h://a.example:9050"]],
    ["SOCKS4 a.example:9050", ["socks4a://a.example:9050"]],
    ["PROXY [2001:DB8::1]:8080", ["http://[2001:db8::1]:8080"]],
    ["PROXY 192.0.2.1:8080", ["http://192.0.2.1:8080"]],
    ["QUIC a.example:443; PROXY b.example:80", ["http://b.example:80"]],
    ["PROXY a.example:80; PROXY a.example:80; PROXY A.EXAMPLE", ["http://a.example:80"]],
    ["PROXY user:secret@a.example:80; DIRECT", ["direct"]],
    ["PROXY a.example:80 extra; DIRECT", ["direct"]],
    ["DIRECT now; PROXY a.example:80", ["http://a.example:80"]],
  ])("%p means %p", (text, choices) => {
    expect(read(text)).toEqual(choices);
  });

  test.each([
    ["PROXY", 'names no proxy that is known here: "PROXY"'],
    ["PROXY a.example:0", 'names no proxy that is known here: "PROXY a.example:0"'],
    ["PROXY a.example:99999", 'names no proxy that is known here: "PROXY a.example:99999"'],
    ["PROXY 0x7f.1:80", 'names no proxy that is known here: "PROXY 0x7f.1:80"'],
    ["PROXY http://a.example:80", 'names no proxy that is known here: "PROXY http://a.example:80"'],
    ["PROXY a.example:80, DIRECT", 'names no proxy that is known here: "PROXY a.example:80, DIRECT"'],
    ["a.example:80", 'names no proxy that is known here: "a.example:80"'],
    ["QUIC a.example:443; FTP b.example", 'names no proxy that is known here: "QUIC a.example:443"'],
    [`PROXY ${"a".repeat(9000)}`, "has more than 8192 characters"],
  ])("%p is refused, and not taken for direct", (text, reason) => {
    expect(read(text)).toBe(reason);
  });

  test("has at most 16 choices", () => {
    const text = Array.from({ length: 40 }, (_, at) => `PROXY p${at}.example:80`).join(";");
    expect(read(text)).toHaveLength(16);
  });

  test("tells what it passes over", () => {
    const result = readPacResult("QUIC a.example:443; DIRECT; WHAT");
    expect(result.ok && result.ignored).toEqual(["QUIC a.example:443", "WHAT"]);
  });
});
