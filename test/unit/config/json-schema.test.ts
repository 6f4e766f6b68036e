import { describe, expect, test } from "bun:test";

import { describeJsonSchema, type JsonSchema } from "../../../src/config/json-schema.ts";
import { isRecord, readRecord } from "../../../src/config/plain-data.ts";

/** Every setting of the schema by its path. */
function listSettings(schema: JsonSchema, path = ""): [string, JsonSchema][] {
  const settings = Object.entries(readRecord(schema["properties"])).map(
    ([name, value]) => [`${path}.${name}`, readRecord(value)] as [string, JsonSchema],
  );
  const inner = [
    schema["items"],
    schema["additionalProperties"],
    ...(Array.isArray(schema["anyOf"]) ? (schema["anyOf"] as unknown[]) : []),
  ].filter(isRecord);
  return [
    ...settings,
    ...settings.flatMap(([name, value]) => listSettings(value, name)),
    ...inner.flatMap((value) => listSettings(value, path)),
  ];
}

describe("describeJsonSchema()", () => {
  const schema = describeJsonSchema();

  test("describes every setting", () => {
    const silent = listSettings(schema).filter(([, setting]) => typeof setting["description"] !== "string");
    expect(silent.map(([path]) => path)).toEqual([]);
    expect(listSettings(schema).length).toBeGreaterThan(50);
  });

  test("knows no other settings, wherever they are", () => {
    const maps = listSettings(schema).filter(([, setting]) => isRecord(setting["properties"]));
    expect(schema["additionalProperties"]).toBe(false);
    expect(maps.filter(([, setting]) => setting["additionalProperties"] !== false).map(([path]) => path)).toEqual([]);
  });

  test("leaves functions out, which JSON cannot have", () => {
    expect(JSON.stringify(schema)).not.toContain("x-function");
    expect(readRecord(readRecord(schema["properties"])["rules"])["type"]).toBe("array");
  });
});
