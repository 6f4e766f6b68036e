import * as z from "zod";

import { FUNCTION_MARK } from "./fields.ts";
import { isRecord, readRecord } from "./plain-data.ts";
import { configSchema } from "./schema.ts";

/** A JSON Schema (draft 2020-12) or a part of one. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The JSON Schema of the configuration file, as JSON, YAML and TOML can have
 * it: functions are left out.
 */
export function describeJsonSchema(): JsonSchema {
  const generated = z.toJSONSchema(configSchema, {
    io: "input",
    unrepresentable: "any",
    reused: "inline",
  });
  const schema = dropFunctions(generated);
  return { ...readRecord(schema), title: "Penstock configuration" };
}

function dropFunctions(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((entry) => !isFunction(entry)).map(dropFunctions);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).map(([key, entry]) => [key, dropFunctions(entry)] as const);
  const { anyOf, ...rest } = Object.fromEntries(entries);
  if (!Array.isArray(anyOf)) return Object.fromEntries(entries);
  // Without the function a single form is left.
  return anyOf.length === 1 && isRecord(anyOf[0]) ? { ...anyOf[0], ...rest } : { ...rest, anyOf };
}

function isFunction(value: unknown): boolean {
  return isRecord(value) && value[FUNCTION_MARK] === true;
}
