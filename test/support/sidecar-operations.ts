/**
 * Writes src/sidecar/operations.ts anew, the types of what the sidecar answers, of
 * its `/openapi.json`: `bun test/support/sidecar-operations.ts`, and format.
 */
import { join } from "node:path";
import type { ControlPort } from "../../src/sidecar/control-port.ts";
import { createSidecarApp } from "../../src/sidecar/sidecar-app.ts";
import { grantAll } from "./sidecar-tokens.ts";

const OPERATIONS_FILE = join(import.meta.dir, "../../src/sidecar/operations.ts");
const PARTS_FILE = join(import.meta.dir, "../../src/sidecar/answer-parts.ts");

/** As much of JSON Schema as the sidecar uses. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
}

export interface Operation {
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: JsonSchema }[];
  readonly responses: Readonly<Record<string, { content?: Readonly<Record<string, { schema: JsonSchema }>> }>>;
}

export interface OpenApi {
  readonly openapi: string;
  readonly components?: { readonly schemas?: Readonly<Record<string, JsonSchema>> };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** An app with all routes there are; nothing but `/openapi.json` can be asked for. */
export function createWholeApp() {
  const stub = {} as Required<ControlPort>;
  const port = { ...stub, proxyPac: () => undefined, reload: stub.reload, handOver: stub.handOver };
  const all = new Proxy(port, { get: (known, name) => Reflect.get(known, name) ?? (() => stub) });
  return createSidecarApp(all, { tokens: grantAll("t") });
}

export async function readOpenApi(): Promise<OpenApi> {
  const answer = await createWholeApp().request("/openapi.json", { headers: { Authorization: "Bearer t" } });
  return (await answer.json()) as OpenApi;
}

/** The operations of a description, each with its name such as `GET /tunnels`. */
export function listOperations({ paths }: OpenApi): [name: string, operation: Operation][] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );
}

/** The schema of the answer in JSON that is no problem. */
export function findAnswer({ responses }: Operation): JsonSchema | undefined {
  const [answer] = Object.entries(responses).flatMap(([status, { content = {} }]) =>
    Number(status) < 300 ? (content["application/json"]?.schema ?? []) : [],
  );
  return answer;
}

/** The text of each file of types. */
export function writeOperations(openapi: OpenApi): Readonly<Record<string, string>> {
  const members = listOperations(openapi).map(([name, operation]) => {
    const query = (operation.parameters ?? []).filter((parameter) => parameter.in === "query");
    const fields = query.map(
      ({ name: field, required }) => `readonly ${field}${required === true ? "" : "?"}: string;`,
    );
    const answer = findAnswer(operation);
    return `readonly ${JSON.stringify(name)}: { readonly query: { ${fields.join(" ")} }; readonly answer: ${answer === undefined ? "undefined" : writeType(answer)} };\n`;
  });
  const schemas = Object.entries(openapi.components?.schemas ?? {});
  const parts = schemas.map(([name, schema]) => `\nexport type ${name} = ${writeType(schema)};\n`);
  const used = schemas
    .map(([name]) => name)
    .filter((name) => new RegExp(`\\b${name}\\b(?![":])`).test(members.join("")));
  const operations = `import type { ${used.join(", ")} } from "./answer-parts.ts";\n\n/**
 * What the sidecar can be asked, and what it answers in JSON. ${MADE}
 */
export interface Operations {\n${members.join("")}}\n`;
  return {
    [OPERATIONS_FILE]: operations,
    [PARTS_FILE]: `/**\n * Parts of several answers of the sidecar. ${MADE}\n */\n${parts.join("")}`,
  };
}

const MADE = "Made of its\n * `/openapi.json`: run `bun test/support/sidecar-operations.ts` after a change.";

function writeType(schema: JsonSchema): string {
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1) ?? "unknown";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(writeType).join(" | ");
  switch (schema.type) {
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "integer":
    case "number":
      return "number";
    case "array":
      return schema.prefixItems
        ? `readonly [${schema.prefixItems.map(writeType).join(", ")}]`
        : `readonly (${writeType(schema.items ?? {})})[]`;
    case "object":
      return writeMap(schema);
    default:
      return "unknown";
  }
}

function writeMap({ properties, required = [], additionalProperties }: JsonSchema): string {
  if (properties === undefined)
    return `{ readonly [name: string]: ${typeof additionalProperties === "object" ? writeType(additionalProperties) : "unknown"} }`;
  const members = Object.entries(properties).map(
    ([name, schema]) => `readonly ${name}${required.includes(name) ? "" : "?"}: ${writeType(schema)};`,
  );
  return `{ ${members.join(" ")} }`;
}

if (import.meta.main)
  for (const [file, text] of Object.entries(writeOperations(await readOpenApi()))) await Bun.write(file, text);
