import { describe, expect, test } from "bun:test";
import { grantAll } from "../../support/sidecar-tokens.ts";
import type { FlowFilter } from "../../../src/proxy/record/live-table.ts";
import { createSidecarApp } from "../../../src/sidecar/sidecar-app.ts";

const withToken = { headers: { Authorization: "Bearer t" } };

/** A sidecar without tunnels; `asked` and `killed` are what it was asked for. */
function makeApp() {
  const asked: FlowFilter[] = [];
  const killed: FlowFilter[] = [];
  const app = createSidecarApp(
    {
      readiness: () => ({ ready: true }),
      effectiveConfig: () => ({}),
      metricsText: () => "",
      tunnels: (filter) => {
        asked.push(filter);
        return [];
      },
      kill: (filter) => {
        killed.push(filter);
        return 0;
      },
    },
    { tokens: grantAll("t") },
  );
  return { app, asked, killed };
}

describe("a query", () => {
  test.each(["/healthz?x=1", "/readyz?verbose", "/config?x", "/metrics?name=up", "/tunnels?users=alice"])(
    "that is not known is 400 and named: %s",
    async (path) => {
      const response = await makeApp().app.request(path, withToken);
      expect(response.status).toBe(400);
      expect(await response.text()).toContain("There is no parameter");
    },
  );

  test.each([
    ["user=alice&user=bob", "more than once"],
    ["user=", "empty user"],
    ["client=localhost", "is no IP address"],
    ["host=a%20b", "is no host"],
  ])("that cannot be meant is 400: %s", async (query, part) => {
    const response = await makeApp().app.request(`/tunnels?${query}`, withToken);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(part);
  });

  test("tells which tunnels are meant", async () => {
    const { app, asked } = makeApp();
    const query = "user=alice&client=::ffff:10.0.0.9&host=*.example.org&rule=corp&route=direct&id=abc-1";
    expect((await app.request(`/tunnels?${query}`, withToken)).status).toBe(200);
    expect(asked).toEqual([
      {
        user: "alice",
        client: "10.0.0.9",
        host: { kind: "name", text: "example.org" },
        below: true,
        rule: "corp",
        route: "direct",
        id: "abc-1",
      },
    ]);
  });

  test("is needed to end more than one tunnel", async () => {
    const { app, killed } = makeApp();
    expect((await app.request("/tunnels", { method: "DELETE", ...withToken })).status).toBe(400);
    expect(killed).toEqual([]);
    const response = await app.request("/tunnels?user=alice", { method: "DELETE", ...withToken });
    expect(await response.json()).toEqual({ ended: 0 });
    expect(killed).toEqual([{ user: "alice" }]);
  });
});
