import { describe, expect, test } from "bun:test";
import { grantAll } from "../../support/sidecar-tokens.ts";
import type { Flow, FlowFilter } from "../../../src/proxy/record/live-table.ts";
import type { ControlPort, Readiness } from "../../../src/sidecar/control-port.ts";
import { createSidecarApp, type SidecarAppOptions } from "../../../src/sidecar/sidecar-app.ts";

const TOKEN = "s3cret-Token";
const withToken = { headers: { Authorization: `Bearer ${TOKEN}` } };

const tunnel: Flow = {
  kind: "tunnel",
  id: "abc-1",
  listener: "127.0.0.1:8080",
  client: "10.0.0.9:50123",
  user: "alice",
  protocol: "http",
  target: "example.org:443",
  dialled: "192.0.2.1:443",
  rule: "default",
  route: "direct",
  startedAt: "2026-01-02T00:00:00.000Z",
  ageMs: 1500,
  bytesUp: 10,
  bytesDown: 20,
};

/** A daemon that is ready and has one tunnel; `killed` is what it was asked to end. */
function makePort(killed: FlowFilter[] = []): ControlPort {
  return {
    readiness: () => ({ ready: true }),
    effectiveConfig: () => ({ listen: [{ port: 8080 }] }),
    metricsText: () => "penstock_connections_open 0\n",
    tunnels: () => [tunnel],
    kill: (filter) => {
      killed.push(filter);
      return filter.id === tunnel.id ? 1 : 0;
    },
  };
}

/** The app of a sidecar on 127.0.0.1 with a token, unless `options` says otherwise. */
function makeApp(options: SidecarAppOptions & { port?: Partial<ControlPort> } = {}) {
  const killed: FlowFilter[] = [];
  const port = { ...makePort(killed), ...options.port };
  const app = createSidecarApp(port, { tokens: grantAll(TOKEN), allowedHosts: [], ...options });
  return { app, killed };
}

describe("GET /healthz", () => {
  test("says ok to anybody", async () => {
    const response = await makeApp().app.request("/healthz");
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("ok\n");
  });

  test("says ok while the proxy is not ready", async () => {
    const { app } = makeApp({ port: { readiness: () => ({ ready: false, reason: "starting" }) } });
    expect((await app.request("/healthz")).status).toBe(200);
  });

  test("answers HEAD without a body", async () => {
    const response = await makeApp().app.request("/healthz", { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
  });
});

describe("GET /readyz", () => {
  test("says that new connections are served", async () => {
    const response = await makeApp().app.request("/readyz");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ready: true });
  });

  test.each(["starting", "draining", "no_way_out"] as const)("answers 503 and says why: %s", async (reason) => {
    const readiness: Readiness = { ready: false, reason };
    const response = await makeApp({ port: { readiness: () => readiness } }).app.request("/readyz");
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ ready: false, reason });
  });
});

describe("behind the token", () => {
  test("GET /config shows the effective configuration", async () => {
    const response = await makeApp().app.request("/config", withToken);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ listen: [{ port: 8080 }] });
  });

  test("GET /metrics is Prometheus text", async () => {
    const response = await makeApp().app.request("/metrics", withToken);
    expect(response.headers.get("Content-Type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await response.text()).toBe("penstock_connections_open 0\n");
  });

  test("GET /tunnels lists tunnels with the keys of the access line", async () => {
    const response = await makeApp().app.request("/tunnels", withToken);
    expect(await response.json()).toEqual({
      tunnels: [
        {
          kind: "tunnel",
          id: "abc-1",
          listener: "127.0.0.1:8080",
          client: "10.0.0.9:50123",
          user: "alice",
          protocol: "http",
          target: "example.org:443",
          dialled: "192.0.2.1:443",
          rule: "default",
          route: "direct",
          started_at: "2026-01-02T00:00:00.000Z",
          age_ms: 1500,
          bytes_up: 10,
          bytes_down: 20,
        },
      ],
    });
  });

  test("DELETE /tunnels/:id ends a tunnel and answers 204", async () => {
    const { app, killed } = makeApp();
    const response = await app.request("/tunnels/abc-1", { method: "DELETE", ...withToken });
    expect(response.status).toBe(204);
    expect(await response.text()).toBe("");
    expect(killed).toEqual([{ id: "abc-1" }]);
  });

  test("DELETE of an unknown tunnel is 404", async () => {
    const response = await makeApp().app.request("/tunnels/nope", { method: "DELETE", ...withToken });
    expect(response.status).toBe(404);
    expect(response.headers.get("Content-Type")).toBe("application/problem+json");
    expect(await response.json()).toEqual({
      type: "about:blank",
      title: "Not Found",
      status: 404,
      detail: "There is no tunnel of that id.",
    });
  });
});

const guarded = [
  ["GET", "/config"],
  ["GET", "/metrics"],
  ["GET", "/tunnels"],
  ["DELETE", "/tunnels/abc-1"],
] as const;

describe("the token", () => {
  test.each(guarded)("is asked for by %s %s", async (method, path) => {
    const { app, killed } = makeApp();
    const response = await app.request(path, { method });
    expect(response.status).toBe(401);
    expect(response.headers.get("WWW-Authenticate")).toBe('Bearer realm="penstock sidecar"');
    expect(killed).toEqual([]);
  });

  test.each(guarded)("must be the right one for %s %s", async (method, path) => {
    const { app, killed } = makeApp();
    const response = await app.request(path, { method, headers: { Authorization: "Bearer wrong" } });
    expect(response.status).toBe(401);
    expect(response.headers.get("WWW-Authenticate")).toContain('error="invalid_token"');
    expect(killed).toEqual([]);
  });

  test.each(guarded)("opens %s %s to nobody when none is configured", async (method, path) => {
    const killed: FlowFilter[] = [];
    const open = createSidecarApp(makePort(killed), { allowedHosts: [] });
    for (const headers of [{}, { Authorization: "Bearer " }, { Authorization: "Bearer undefined" }]) {
      const response = await open.request(path, { method, headers });
      expect(response.status).toBe(403);
      expect(await response.text()).toContain('Set \\"sidecar.token\\"');
    }
    expect(killed).toEqual([]);
  });

  test.each([
    ["another scheme", `Basic ${btoa(`x:${TOKEN}`)}`],
    ["the bare token", TOKEN],
    ["no token", "Bearer"],
    ["an empty token", "Bearer "],
    ["a beginning of it", `Bearer ${TOKEN.slice(0, -1)}`],
    ["more than it", `Bearer ${TOKEN}x`],
    ["another case", `Bearer ${TOKEN.toLowerCase()}`],
    ["two tokens", `Bearer ${TOKEN} ${TOKEN}`],
    ["two fields", `Bearer wrong, Bearer ${TOKEN}`],
  ])("is not %s", async (_, Authorization) => {
    expect((await makeApp().app.request("/config", { headers: { Authorization } })).status).toBe(401);
  });

  test("takes the scheme in any case", async () => {
    const response = await makeApp().app.request("/config", { headers: { Authorization: `bEARER ${TOKEN}` } });
    expect(response.status).toBe(200);
  });

  test("guards HEAD as it guards GET", async () => {
    expect((await makeApp().app.request("/metrics", { method: "HEAD" })).status).toBe(401);
  });
});

describe("paths and methods", () => {
  test("an unknown path is 404", async () => {
    for (const path of ["/page", "/nope", "/healthz/", "/tunnels/", "/tunnels/a/b", "/constructor"]) {
      const response = await makeApp().app.request(path, withToken);
      expect(response.status).toBe(404);
      expect(response.headers.get("Content-Type")).toBe("application/problem+json");
    }
  });

  test.each([
    ["POST", "/healthz", "GET, HEAD"],
    ["DELETE", "/readyz", "GET, HEAD"],
    ["PUT", "/config", "GET, HEAD"],
    ["POST", "/metrics", "GET, HEAD"],
    ["PUT", "/tunnels", "GET, HEAD, DELETE"],
    ["GET", "/tunnels/abc-1", "DELETE"],
    ["OPTIONS", "/tunnels", "GET, HEAD, DELETE"],
  ])("%s %s is 405 with what is allowed", async (method, path, allow) => {
    const response = await makeApp().app.request(path, { method, ...withToken });
    expect(response.status).toBe(405);
    expect(response.headers.get("Allow")).toBe(allow);
  });
});

describe("every answer", () => {
  test.each(["/healthz", "/readyz", "/config", "/nope", "/tunnels"])(
    "to %s is not kept, sniffed or shared",
    async (path) => {
      const response = await makeApp().app.request(path, { headers: { Origin: "https://evil.example" } });
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      expect(response.headers.get("X-Content-Type-Options")).toBe("nosniff");
      expect(response.headers.has("Access-Control-Allow-Origin")).toBe(false);
    },
  );

  test("about a mistake of the sidecar tells the operator, and the asker nothing", async () => {
    const bugs: string[] = [];
    const { app } = makeApp({
      reportBug: (error) => void bugs.push(error.message),
      port: {
        effectiveConfig() {
          throw new Error("inner life");
        },
      },
    });
    const response = await app.request("/config", withToken);
    expect(response.status).toBe(500);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await response.text()).not.toContain("inner life");
    expect(bugs).toEqual(["inner life"]);
  });
});

describe("the Host field", () => {
  async function ask(host: string, options: SidecarAppOptions = {}): Promise<number> {
    const headers = { Host: host, ...withToken.headers };
    return (await makeApp(options).app.request("/metrics", { headers })).status;
  }

  test.each([
    "127.0.0.1",
    "127.0.0.1:9080",
    "127.8.9.10",
    "[::1]",
    "[::1]:9080",
    "10.0.0.1",
    "[2001:db8::1]:9080",
    "localhost",
    "LocalHost:1",
    "localhost.",
  ])("may be %s", async (host) => {
    expect(await ask(host)).toBe(200);
  });

  test.each([
    "evil.example",
    "evil.example:9080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "2130706433",
    "0x7f.1",
    "127.0.0.1@evil.example",
    "127.0.0.1, evil.example",
    "::1",
    "[fe80::1%25eth0]",
    "",
  ])("may not be %p", async (host) => {
    expect(await ask(host)).toBe(403);
  });

  test("may be absent, as in HTTP/1.0: no browser leaves it out", async () => {
    expect((await makeApp().app.request("/metrics", withToken)).status).toBe(200);
  });

  test("does not matter for health", async () => {
    for (const path of ["/healthz", "/readyz"])
      expect((await makeApp().app.request(path, { headers: { Host: "evil.example" } })).status).toBe(200);
  });

  test("may be a name that the operator allows", async () => {
    const allowedHosts = ["metrics.internal", "bücher.example"];
    expect(await ask("metrics.internal:80", { allowedHosts })).toBe(200);
    expect(await ask("METRICS.internal.", { allowedHosts })).toBe(200);
    expect(await ask("xn--bcher-kva.example", { allowedHosts })).toBe(200);
    expect(await ask("x.metrics.internal", { allowedHosts })).toBe(403);
  });

  test("is checked before the token", async () => {
    const response = await makeApp().app.request("/config", {
      headers: { Host: "evil.example", ...withToken.headers },
    });
    expect(response.status).toBe(403);
  });

  test("does not matter on a Unix socket", async () => {
    const app = createSidecarApp(makePort(), { tokens: grantAll(TOKEN) });
    const headers = { Host: "anything", ...withToken.headers };
    expect((await app.request("/metrics", { headers })).status).toBe(200);
  });
});
