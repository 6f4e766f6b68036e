import { describe, expect, test } from "bun:test";

import { formatEndpoint } from "../../../src/address/endpoint.ts";
import { parseUpstreamUrl } from "../../../src/config/upstream-url.ts";

function read(text: string) {
  const parsed = parseUpstreamUrl(text);
  if (!parsed.ok) return parsed.reason;
  const { kind, endpoint, credentials } = parsed.value;
  return [kind, formatEndpoint(endpoint), ...(credentials ? [credentials.user, credentials.password] : [])];
}

describe("parseUpstreamUrl()", () => {
  test.each([
    ["http://proxy.corp:3128", ["http", "proxy.corp:3128"]],
    ["HTTP://Proxy.Corp.:3128/", ["http", "proxy.corp.:3128"]],
    ["https://exit-b:8443", ["https", "exit-b:8443"]],
    ["https://exit-b", ["https", "exit-b:443"]],
    ["socks5://10.0.0.7", ["socks5", "10.0.0.7:1080"]],
    ["socks5h://[2001:db8::7]", ["socks5h", "[2001:db8::7]:1080"]],
    ["socks4a://[::1]:9", ["socks4a", "[::1]:9"]],
    ["http://edge:secret@proxy:3128", ["http", "proxy:3128", "edge", "secret"]],
    ["http://edge@proxy:3128", ["http", "proxy:3128", "edge", ""]],
    ["http://a%40b:p%3Aw%2F@proxy:3128", ["http", "proxy:3128", "a@b", "p:w/"]],
    ["http://edge:a:b@proxy:3128", ["http", "proxy:3128", "edge", "a:b"]],
  ])("reads %p", (text, wanted) => {
    expect(read(text)).toEqual(wanted);
  });

  test.each([
    ["", "has no scheme"],
    ["proxy:3128", 'has no scheme. Write one, as in "http://proxy.example:3128"'],
    ["ann:pw@proxy:3128", 'as in "http://user:password@proxy.example:3128"'],
    ["http:/ann:pw@proxy:3128", "has only one slash"],
    ["http://ann:p/w@proxy:3128", '"/", "?" or "#" in it'],
    ["hunter2://proxy", "begins with another scheme"],
    ["http://proxy.corp", 'has no port. Write one, as in "http://proxy.example:3128"'],
    ["http://proxy:0", "decimal number from 1 to 65535"],
    ["http://:3128", "the host is empty"],
    ["http://proxy:3128/path", "Leave out path and query"],
    ["http://proxy:3128?x", "Leave out path and query"],
    ["socks://proxy:1080", 'Did you mean "socks5h"?'],
    ["socks4://proxy:1080", 'Did you mean "socks4a"?'],
    ["htps://proxy", 'Did you mean "https"?'],
    ["ftp://proxy:21", 'begins with "ftp"'],
    ["http://a@b@proxy:3128", "percent-encode"],
    ["http://a:%zz@proxy:3128", "percent-encode"],
    ["http://:pw@proxy:3128", "percent-encode"],
    ["http://a:b%00@proxy:3128", "percent-encode"],
    ["http://2130706433:3128", "four decimal numbers"],
    ["http://::1:3128", "in brackets"],
  ])("refuses %p, saying why", (text, reason) => {
    expect(read(text)).toContain(reason);
  });
});
