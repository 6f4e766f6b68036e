import { expect, test } from "bun:test";
import * as z from "zod";
import { startProxy } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { findAnswer, type JsonSchema, listOperations, type OpenApi } from "../support/sidecar-operations.ts";

/** The schema of an answer, in which nothing may be that it does not describe. */
function close(schema: JsonSchema, { components }: OpenApi): JsonSchema {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== "object" || value === null) return value;
    const inner = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, walk(each)]));
    if (typeof inner["$ref"] === "string") return { $ref: inner["$ref"].replace("#/components/schemas/", "#/$defs/") };
    return "properties" in value && !("additionalProperties" in value) && inner["type"] === "object"
      ? { ...inner, additionalProperties: false }
      : inner;
  };
  return { ...(walk(schema) as JsonSchema), $defs: walk(components?.schemas ?? {}) } as JsonSchema;
}

test("real answers to every GET in JSON are as /openapi.json describes them", async () => {
  using echo = listenEcho();
  await using proxy = await startProxy({
    upstreams: { pool: { pool: ["http://127.0.0.1:1", "socks5://127.0.0.1:2"] }, one: "http://127.0.0.1:3" },
    rules: [
      { name: "loopback", to: ["127.0.0.0/8"], allow: true, allowPrivate: true },
      { name: "others", to: ["*.example"], via: "pool" },
    ],
  });
  const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
  using _ = peer;
  peer.write("some bytes");
  await peer.untilText("some bytes");
  const openapi = (await (await proxy.ask("/openapi.json")).json()) as OpenApi;
  const { tunnels } = (await (await proxy.ask("/tunnels")).json()) as { tunnels: { id: string }[] };
  const places: Readonly<Record<string, string>> = {
    "/tunnels/{id}": `/tunnels/${tunnels[0]?.id}`,
    "/upstreams/{name}": "/upstreams/pool",
    "/upstreams/{name}/choice": "/upstreams/pool/choice?host=a.example",
    "/explain": "/explain?target=a.example",
    "/events": "/events?wait=0",
  };
  const asked: string[] = [];
  for (const [name, operation] of listOperations(openapi)) {
    const schema = findAnswer(operation);
    const path = name.slice("GET ".length);
    if (!name.startsWith("GET ") || schema === undefined || path === "/openapi.json") continue;
    const answer = await proxy.ask(places[path] ?? path);
    expect([name, answer.status]).toEqual([name, 200]);
    const parsed = z
      .fromJSONSchema(close(schema, openapi) as Parameters<typeof z.fromJSONSchema>[0])
      .safeParse(await answer.json());
    expect([name, parsed.error?.issues]).toEqual([name, undefined]);
    asked.push(path);
  }
  expect(asked).toEqual(
    expect.arrayContaining(["/config", "/events", "/explain", "/readyz", "/tunnels", "/upstreams", "/usage"]),
  );
});

test("every form of an answer is one that /openapi.json has, and so is the body of a request", async () => {
  await using proxy = await startProxy();
  const openapi = (await (await proxy.ask("/openapi.json")).json()) as OpenApi;
  const operations = new Map(listOperations(openapi));
  const page = await (await proxy.ask("/")).text();
  const files = Array.from(page.matchAll(/"\/page\/([^"]+)"/g), ([, name = ""]) => `/page/${name}`);
  expect(files.length).toBeGreaterThan(1);
  const asked: readonly (readonly [name: string, path: string, accept?: string])[] = [
    ["GET /usage", "/usage?format=csv"],
    ["GET /usage", "/usage", "text/csv"],
    ["GET /metrics", "/metrics"],
    ["GET /metrics", "/metrics", "application/openmetrics-text"],
    ["GET /events", "/events?wait=0"],
    ["GET /events", "/events"],
    ["GET /live", "/live"],
    ["GET /capture", "/capture"],
    ["GET /proxy.pac", "/proxy.pac"],
    ["GET /healthz", "/healthz"],
    ["GET /", "/"],
    ...files.map((file) => ["GET /page/{name}", file] as const),
  ];
  for (const [name, path, accept] of asked) {
    const answer = await fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}${path}`, {
      headers: { Authorization: "Bearer scenario-token", ...(accept !== undefined && { Accept: accept }) },
    });
    await answer.body?.cancel();
    const type = answer.headers.get("Content-Type")?.replace(/;.*/, "") ?? "";
    expect([name, Object.keys(operations.get(name)?.responses[answer.status]?.content ?? {})]).toEqual([
      name,
      expect.arrayContaining([type]),
    ]);
  }
  const { requestBody } = operations.get("POST /approvals/{id}") as {
    readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> };
  };
  expect(Object.keys(requestBody?.content["application/json"]?.schema.properties ?? {})).toEqual(["allow", "for"]);
});
