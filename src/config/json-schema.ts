import * as z from "zod";

import { FUNCTION_MARK } from "./fields.ts";
import { isRecord, readRecord, readText } from "./plain-data.ts";
import { configSchema } from "./schema.ts";

/** A JSON Schema (draft 2020-12) or a part of one. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema of the configuration file, as JSON, YAML and TOML can have
 * it: functions are left out.
 */
export function describeJsonSchema(): JsonSchema {
  return { ...readRecord(dropFunctions(describeWithFunctions())), title: "Penstock configuration" };
}

/** The same with functions, marked with the names of their types. */
export function describeWithFunctions(): JsonSchema {
  return readRecord(z.toJSONSchema(configSchema, { io: "input", unrepresentable: "any", reused: "inline" }));
}

function dropFunctions(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((entry) => readFunction(entry) === undefined).map(dropFunctions);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).map(([key, entry]) => [key, dropFunctions(entry)] as const);
  const { anyOf, ...rest } = Object.fromEntries(entries);
  if (!Array.isArray(anyOf)) return Object.fromEntries(entries);
  // Without the function a single form is left.
  return anyOf.length === 1 && isRecord(anyOf[0]) ? { ...anyOf[0], ...rest } : { ...rest, anyOf };
}

/** The name of the type of a function; undefined for another schema. */
export function readFunction(schema: unknown): string | undefined {
  return readText(schema, FUNCTION_MARK);
}

/** Whether it is a text, `{ env }` or `{ file }`. */
export function isSecret(setting: JsonSchema): boolean {
  const forms = Array.isArray(setting["anyOf"]) ? (setting["anyOf"] as unknown[]) : [];
  return forms.some((form) => {
    const properties = readRecord(readRecord(form)["properties"]);
    return "env" in properties && "file" in properties;
  });
}
