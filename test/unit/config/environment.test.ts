import { describe, expect, test } from "bun:test";

import { formatEndpoint } from "../../../src/address/endpoint.ts";
import { compileEnvironment } from "../../../src/config/environment.ts";

function read(variables: Record<string, string>) {
  const { tunnel, forward } = compileEnvironment(variables).routes;
  return [tunnel, forward].map((hop) => hop && `${hop.kind}://${formatEndpoint(hop.endpoint)}`);
}

describe("compileEnvironment()", () => {
  test.each([
    ["nothing", {}, [undefined, undefined]],
    ["https_proxy for tunnels", { https_proxy: "http://a:1" }, ["http://a:1", undefined]],
    ["http_proxy for plain requests", { http_proxy: "http://a:1" }, [undefined, "http://a:1"]],
    ["all_proxy for both", { all_proxy: "socks5h://a" }, ["socks5h://a:1080", "socks5h://a:1080"]],
    ["upper case too", { HTTPS_PROXY: "http://a:1", ALL_PROXY: "http://b:2" }, ["http://a:1", "http://b:2"]],
    ["lower case first", { HTTPS_PROXY: "http://a:1", https_proxy: "http://b:2" }, ["http://b:2", undefined]],
    [
      "HTTP_PROXY never, since a client of a CGI program can set it",
      { HTTP_PROXY: "http://a:1" },
      [undefined, undefined],
    ],
    ["an empty variable as none", { https_proxy: "", all_proxy: "http://b:2" }, ["http://b:2", "http://b:2"]],
    ["a host and a port without a scheme", { https_proxy: "proxy.corp:3128" }, ["http://proxy.corp:3128", undefined]],
  ])("reads %s", (_, variables, wanted) => {
    expect(read(variables)).toEqual(wanted);
  });

  test("keeps credentials", () => {
    const { tunnel } = compileEnvironment({ https_proxy: "http://u:p%40@h:1" }).routes;
    expect(tunnel?.credentials?.user).toBe("u");
    expect(tunnel?.credentials?.password.reveal()).toBe("p@");
  });
});

describe("no_proxy", () => {
  test.each([
    ["", "example.org", 443, false],
    ["*", "example.org", 443, true],
    ["example.org", "example.org", 443, true],
    ["example.org", "a.example.org", 443, true],
    ["example.org", "badexample.org", 443, false],
    [".example.org", "example.org", 443, true],
    [".example.org", "a.example.org", 443, true],
    ["*.example.org", "a.example.org", 443, true],
    ["EXAMPLE.org.", "example.org", 443, true],
    ["example.org:8443", "example.org", 443, false],
    ["example.org:8443", "example.org", 8443, true],
    ["other.org, example.org", "example.org", 443, true],
    ["other.org example.org", "example.org", 443, true],
    ["192.0.2.1", "192.0.2.1", 80, true],
    ["192.0.2.1", "192.0.2.10", 80, false],
    ["192.0.2.1:80", "192.0.2.1", 80, true],
    ["192.0.2.1:80", "192.0.2.1", 81, false],
    ["192.0.2.0/24", "192.0.2.77", 80, true],
    ["192.0.2.0/24", "192.0.3.1", 80, false],
    ["2001:db8::/32", "2001:db8::1", 80, true],
    ["::1", "::1", 80, true],
    ["[::1]:80", "::1", 80, true],
    ["[::1]:80", "::1", 81, false],
    ["192.0.2.0/24", "example.org", 80, false],
    ["exa mple..org,@,:,/", "example.org", 80, false],
    ["localhost", "localhost", 80, true],
    [".192.0.2.1", "192.0.2.1", 80, true],
    ["192.0.2.0/24,example.org:80,example.org:81", "a.example.org", 81, true],
    ["192.0.2.0/24,example.org:80,example.org:81", "a.example.org", 82, false],
  ])("%p exempts %p port %p: %p", (exceptions, host, port, exempt) => {
    expect(compileEnvironment({ no_proxy: exceptions }).routes.bypasses(host, port)).toBe(exempt);
  });

  test("is also read in upper case, lower case first", () => {
    expect(compileEnvironment({ NO_PROXY: "*" }).routes.bypasses("a", 1)).toBe(true);
    expect(compileEnvironment({ NO_PROXY: "*", no_proxy: "b" }).routes.bypasses("a", 1)).toBe(false);
  });
});
