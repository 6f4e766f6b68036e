import { describe, expect, test } from "bun:test";
import {
  createWholeApp,
  findAnswer,
  listOperations,
  readOpenApi,
  writeOperations,
} from "../../support/sidecar-operations.ts";

const openapi = await readOpenApi();

describe("GET /openapi.json", () => {
  test("is OpenAPI 3.1 and has every route of the sidecar, and no other one", () => {
    expect(openapi.openapi).toStartWith("3.1.");
    const routes = createWholeApp().routes.filter(({ method }) => method !== "ALL");
    const names = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
    expect(new Set(listOperations(openapi).map(([name]) => name))).toEqual(new Set(names));
    expect(names.length).toBeGreaterThan(20);
  });

  test("says of every route what it answers and what goes wrong, and which token it needs", () => {
    const open = ["GET /healthz", "GET /readyz", "GET /proxy.pac", "GET /", "GET /page/{name}"];
    for (const [name, operation] of listOperations(openapi)) {
      const { responses, security } = operation as typeof operation & { security?: unknown };
      expect([name, Object.keys(responses).some((status) => /^20[024]$/.test(status))]).toEqual([name, true]);
      expect([name, "400" in responses]).toEqual([name, true]);
      expect([name, security !== undefined && "401" in responses && "403" in responses]).toEqual([
        name,
        !open.includes(name),
      ]);
    }
  });

  test("has the parameters of queries, which are those that are accepted", async () => {
    const app = createWholeApp();
    for (const [name, { parameters = [] }] of listOperations(openapi)) {
      const [method = "", path = ""] = name.split(" ");
      const known = parameters.filter((each) => each.in === "query").map((each) => each.name);
      const response = await app.request(`${path.replace(/[{}]/g, "")}?nonsense=1`, {
        method,
        headers: { Authorization: "Bearer t" },
      });
      if (name === "POST /drain/successor") continue;
      expect([name, response.status]).toEqual([name, 400]);
      const { detail } = (await response.json()) as { detail: string };
      const there = known.length === 0 ? "This path has none." : `Known are ${known.join(", ")}.`;
      expect([name, detail]).toEqual([name, `There is no parameter "nonsense". ${there}`]);
    }
  });

  test("gives the types of the client: run `bun test/support/sidecar-operations.ts` when it does not", async () => {
    // Formatting adds and takes away nothing but these.
    const squeeze = (text: string) => text.replaceAll(/[\s|;,()*]/g, "");
    for (const [file, text] of Object.entries(writeOperations(openapi)))
      expect(squeeze(await Bun.file(file).text())).toBe(squeeze(text));
  });

  test("describes answers in JSON", () => {
    const described = listOperations(openapi).filter(([, operation]) => findAnswer(operation) !== undefined);
    expect(described.map(([name]) => name)).toContain("GET /status");
    expect(described.length).toBeGreaterThan(12);
  });
});
