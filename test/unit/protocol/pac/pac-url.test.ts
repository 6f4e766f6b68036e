import { describe, expect, test } from "bun:test";
import { parseAuthority } from "../../../../src/address/endpoint.ts";
import { askPac } from "../../../../src/protocol/pac/pac-url.ts";

function ask(authority: string, scheme?: "http" | "https", path?: string) {
  const parsed = parseAuthority(authority);
  if (!parsed.ok) throw new Error(parsed.code);
  return askPac(parsed.endpoint, scheme, path);
}

describe("the URL for a PAC file", () => {
  test.each([
    ["a tunnel", ask("A.example:443"), { url: "https://a.example/", host: "a.example" }],
    ["a tunnel to another port", ask("a.example:8443"), { url: "https://a.example:8443/", host: "a.example" }],
    ["a tunnel to port 80", ask("a.example:80"), { url: "https://a.example:80/", host: "a.example" }],
    ["an IPv6 address", ask("[2001:db8::1]:443"), { url: "https://[2001:db8::1]/", host: "2001:db8::1" }],
    [
      "plain HTTP, with path and query",
      ask("a.example:80", "http", "/x?y=z"),
      { url: "http://a.example/x?y=z", host: "a.example" },
    ],
    [
      "plain HTTP to another port",
      ask("a.example:8080", "http", "/"),
      { url: "http://a.example:8080/", host: "a.example" },
    ],
    [
      "a request for the server as a whole",
      ask("a.example:80", "http", "*"),
      { url: "http://a.example/", host: "a.example" },
    ],
    [
      "https, without its path",
      ask("a.example:443", "https", "/secret"),
      { url: "https://a.example/", host: "a.example" },
    ],
  ])("of %s", (_, question, expected) => {
    expect(question).toEqual(expected);
  });

  test("has at most 2,048 characters", () => {
    expect(ask("a.example:80", "http", `/${"x".repeat(9000)}`).url).toHaveLength(2048);
  });
});
