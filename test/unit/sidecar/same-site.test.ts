import { describe, expect, test } from "bun:test";
import { createSidecarApp } from "../../../src/sidecar/sidecar-app.ts";
import { grantAll } from "../../support/sidecar-tokens.ts";

function makeApp() {
  const done: string[] = [];
  const app = createSidecarApp(
    {
      readiness: () => ({ ready: true }),
      effectiveConfig: () => ({}),
      metricsText: () => "",
      tunnels: () => [],
      kill: () => done.push("kill"),
      reload: async () => (done.push("reload"), { kind: "done", changes: [], warnings: [] }),
    },
    { tokens: grantAll("t"), allowedHosts: ["ops.example"] },
  );
  const ask = (method: string, path: string, fields: Record<string, string>) =>
    app.request(path, { method, headers: { Host: "127.0.0.1:9080", Authorization: "Bearer t", ...fields } });
  return { ask, done };
}

const foreign: readonly Record<string, string>[] = [
  { Origin: "https://evil.example" },
  { Origin: "null" },
  { Origin: "" },
  { Origin: "http://127.0.0.1:3000" },
  { Origin: "http://127.0.0.1:9080.evil.example" },
  { Origin: "http://127.0.0.1:9080@evil.example" },
  { Origin: "file://" },
  { "Sec-Fetch-Site": "cross-site" },
  { "Sec-Fetch-Site": "same-site" },
  { "Sec-Fetch-Site": "cross-site", Origin: "http://127.0.0.1:9080" },
  { "Sec-Fetch-Site": "none", Origin: "https://evil.example" },
];

const own: readonly Record<string, string>[] = [
  {},
  { Origin: "http://127.0.0.1:9080" },
  { Origin: "http://OPS.example" },
  { Origin: "https://ops.example:8443" },
  { "Sec-Fetch-Site": "same-origin" },
  { "Sec-Fetch-Site": "same-origin", Origin: "https://behind-a-proxy.example" },
  { "Sec-Fetch-Site": "none" },
  { Host: "ops.example", Origin: "https://ops.example" },
];

describe("a page of another site", () => {
  test.each(foreign)("can neither do nor read anything, not even with the token: %p", async (fields) => {
    const { ask, done } = makeApp();
    for (const [method, path] of [
      ["POST", "/reload"],
      ["DELETE", "/tunnels/a-1"],
      ["DELETE", "/tunnels?user=alice"],
      ["GET", "/config"],
      ["OPTIONS", "/reload"],
    ] as const) {
      const response = await ask(method, path, fields);
      expect(response.status).toBe(403);
      expect(response.headers.get("Access-Control-Allow-Origin")).toBeNull();
    }
    expect(done).toEqual([]);
  });

  test("may ask for health, which says nothing", async () => {
    const { ask } = makeApp();
    for (const path of ["/healthz", "/readyz"])
      expect((await ask("GET", path, { Origin: "https://evil.example" })).status).toBe(200);
  });
});

describe("what comes from no other page", () => {
  test.each(own)("is served: %p", async (fields) => {
    const { ask, done } = makeApp();
    expect((await ask("POST", "/reload", fields)).status).toBe(200);
    expect((await ask("GET", "/config", fields)).status).toBe(200);
    expect(done).toEqual(["reload"]);
  });

  test("needs the token all the same", async () => {
    const { ask, done } = makeApp();
    const response = await ask("POST", "/reload", { "Sec-Fetch-Site": "same-origin", Authorization: "" });
    expect(response.status).toBe(401);
    expect(done).toEqual([]);
  });
});
