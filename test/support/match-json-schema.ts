import { isRecord, readList, readRecord } from "../../src/config/plain-data.ts";

/**
 * Paths at which a value does not match a JSON Schema. Knows the keywords that
 * the schema of the configuration has, and throws at any other.
 */
export function findMismatches(schema: unknown, value: unknown, path = ""): string[] {
  const rules = readRecord(schema);
  const here = (fits: boolean): string[] => (fits ? [] : [path]);
  return Object.entries(rules).flatMap(([keyword, rule]): string[] => {
    switch (keyword) {
      case "type":
        return here(isOfType(value, rule));
      case "enum":
        return here(readList(rule).includes(value));
      case "const":
        return here(rule === value);
      case "pattern":
        return here(typeof value !== "string" || new RegExp(String(rule), "u").test(value));
      case "minLength":
        return here(typeof value !== "string" || value.length >= Number(rule));
      case "minimum":
        return here(typeof value !== "number" || value >= Number(rule));
      case "maximum":
        return here(typeof value !== "number" || value <= Number(rule));
      case "minItems":
        return here(!Array.isArray(value) || value.length >= Number(rule));
      case "items":
        return readList(value).flatMap((item, at) => findMismatches(rule, item, `${path}[${at}]`));
      case "required":
        return here(!isRecord(value) || readList(rule).every((name) => Object.hasOwn(value, String(name))));
      case "properties":
        return Object.entries(readRecord(value)).flatMap(([name, inner]) => {
          const known = readRecord(rule)[name];
          return known === undefined ? [] : findMismatches(known, inner, `${path}.${name}`);
        });
      case "additionalProperties": {
        const known = readRecord(rules["properties"]);
        const others = Object.entries(readRecord(value)).filter(([name]) => !Object.hasOwn(known, name));
        return others.flatMap(([name, inner]) =>
          rule === false ? [`${path}.${name}`] : findMismatches(rule, inner, `${path}.${name}`),
        );
      }
      case "anyOf":
        return here(readList(rule).some((form) => findMismatches(form, value).length === 0));
      case "$schema":
      case "title":
      case "description":
      case "default":
      case "propertyNames":
        return [];
      default:
        throw new Error(`Unknown keyword ${keyword}`);
    }
  });
}

function isOfType(value: unknown, type: unknown): boolean {
  switch (type) {
    case "object":
      return isRecord(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
