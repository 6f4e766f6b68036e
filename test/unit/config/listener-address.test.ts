import { describe, expect, test } from "bun:test";

import { isLoopbackHost, nameReachable, parseListenerAddress } from "../../../src/config/listener-address.ts";

describe("parseListenerAddress()", () => {
  test.each([
    ["127.0.0.1:8080", "127.0.0.1", 8080],
    ["0.0.0.0:1", "0.0.0.0", 1],
    ["[::]:8080", "::", 8080],
    ["[::1]:0", "::1", 0],
    ["localhost:65535", "localhost", 65535],
    ["8080", "127.0.0.1", 8080],
  ])("reads %p", (text, host, port) => {
    expect(parseListenerAddress(text)).toEqual({ ok: true, value: { host, port } });
  });

  test.each([
    ["", "no port"],
    ["127.0.0.1", "no port"],
    ["127.0.0.1:", "no port"],
    ["127.0.0.1:65536", "no port"],
    ["127.0.0.1:080", "no port"],
    [":8080", "names no address"],
    ["*:8080", "names no address"],
    ["example.org:8080", "names no address"],
    ["127.1:8080", "names no address"],
    ["::1:8080", "is not an address and a port"],
    ["[::1:8080", "is not an address and a port"],
  ])("refuses %p, saying why", (text, reason) => {
    const parsed = parseListenerAddress(text);
    expect(!parsed.ok && parsed.reason).toContain(reason);
  });
});

test.each([
  ["127.0.0.1", true],
  ["127.255.255.254", true],
  ["::1", true],
  ["::ffff:127.0.0.1", true],
  ["localhost", true],
  ["0.0.0.0", false],
  ["::", false],
  ["192.168.0.1", false],
  ["localhost.example.org", false],
])("isLoopbackHost(%p) is %p", (host, loopback) => {
  expect(isLoopbackHost(host)).toBe(loopback);
});

test("nameReachable() gives loopback for every interface, and any other address as it is", () => {
  expect(["0.0.0.0", "::", "192.0.2.1", "::1", "localhost"].map(nameReachable)).toEqual([
    "127.0.0.1",
    "::1",
    "192.0.2.1",
    "::1",
    "localhost",
  ]);
});
