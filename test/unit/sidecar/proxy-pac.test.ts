import { describe, expect, test } from "bun:test";
import { type BrowserListener, writeBrowserPac } from "../../../src/browser-pac.ts";
import { grantAll } from "../../support/sidecar-tokens.ts";
import { createSidecarApp } from "../../../src/sidecar/sidecar-app.ts";

const everything = { host: undefined, direct: [] };

function listener(host: string, port: number, more: Partial<BrowserListener> = {}): BrowserListener {
  return { host, port, isTls: false, protocols: new Set(["http", "socks5", "socks4"] as const), ...more };
}

function listProxies(
  listeners: readonly BrowserListener[],
  asked: string,
  pac: Parameters<typeof writeBrowserPac>[1] = everything,
) {
  return /return "(.*)";/.exec(writeBrowserPac(listeners, pac, asked) ?? "")?.[1];
}

describe("the PAC file that the listeners make", () => {
  test("names a listener by its own address", () => {
    expect(listProxies([listener("192.0.2.1", 3128)], "proxy.example")).toBe("PROXY 192.0.2.1:3128");
    expect(listProxies([listener("2001:db8::1", 3128)], "proxy.example")).toBe("PROXY [2001:db8::1]:3128");
  });

  test("names one on all addresses, and one with TLS, as the browser reached the sidecar", () => {
    const listeners = [listener("0.0.0.0", 3128), listener("192.0.2.1", 3129, { isTls: true }), listener("::", 3130)];
    expect(listProxies(listeners, "proxy.example")).toBe(
      "PROXY proxy.example:3128; HTTPS proxy.example:3129; PROXY proxy.example:3130",
    );
  });

  test("names all as the configuration says", () => {
    const listeners = [listener("0.0.0.0", 3128), listener("192.0.2.1", 3129)];
    expect(listProxies(listeners, "10.0.0.1", { host: "bücher.example", direct: [] })).toBe(
      "PROXY xn--bcher-kva.example:3128; PROXY xn--bcher-kva.example:3129",
    );
  });

  test("leaves out what only this machine can reach, for browsers of other machines", () => {
    const listeners = [listener("127.0.0.1", 3128), listener("192.0.2.1", 3129)];
    expect(listProxies(listeners, "192.0.2.1")).toBe("PROXY 192.0.2.1:3129");
    expect(listProxies(listeners, "localhost")).toBe("PROXY 127.0.0.1:3128; PROXY 192.0.2.1:3129");
    expect(listProxies([listener("127.0.0.1", 3128)], "192.0.2.1")).toBe("PROXY 127.0.0.1:3128");
  });

  test("says SOCKS where there is no HTTP, and nothing that no browser can speak", () => {
    const listeners = [
      listener("192.0.2.1", 1, { protocols: new Set(["socks5"]) }),
      listener("192.0.2.1", 2, { protocols: new Set(["socks4"]) }),
      listener("192.0.2.1", 3, { protocols: new Set(["socks5"]), isTls: true }),
    ];
    expect(listProxies(listeners, "192.0.2.1")).toBe("SOCKS5 192.0.2.1:1; SOCKS 192.0.2.1:2");
    expect(writeBrowserPac(listeners.slice(2), everything, "192.0.2.1")).toBeUndefined();
  });
});

describe("GET /proxy.pac", () => {
  const app = createSidecarApp(
    {
      readiness: () => ({ ready: true }),
      effectiveConfig: () => ({}),
      metricsText: () => "",
      tunnels: () => [],
      kill: () => 0,
      proxyPac: (host) => (host === "none.example" ? undefined : `for ${host}`),
    },
    { tokens: grantAll("token"), allowedHosts: ["proxy.example", "none.example"] },
  );
  const ask = (host: string | undefined, path = "/proxy.pac", method = "GET") =>
    app.request(path, { method, ...(host !== undefined && { headers: { Host: host } }) });

  test("needs no token, and is no script for web pages", async () => {
    const answer = await ask("Proxy.example:9080");
    expect([answer.status, await answer.text()]).toEqual([200, "for proxy.example"]);
    expect(answer.headers.get("content-type")).toBe("application/x-ns-proxy-autoconfig");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("knows the host as an address, too", async () => {
    expect(await (await ask("[2001:db8::1]:9080")).text()).toBe("for 2001:db8::1");
  });

  test("is refused under a foreign name, with a query, and with another method", async () => {
    expect((await ask("evil.example")).status).toBe(403);
    expect((await ask("proxy.example", "/proxy.pac?x=y")).status).toBe(400);
    expect((await ask("proxy.example", "/proxy.pac", "POST")).status).toBe(405);
    expect((await ask(undefined)).status).toBe(400);
  });

  test("is not there when no listener is for browsers", async () => {
    expect((await ask("none.example")).status).toBe(404);
  });
});
