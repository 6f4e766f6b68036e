/** Looks into values of which nothing is known yet. */

/** Whether `value` is a map of settings: no list, no null. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `value`, or an empty map when it is none. */
export function readRecord(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

/** `value`, or an empty list when it is none. */
export function readList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The text at `key` of a map; undefined for anything else. */
export function readText(value: unknown, key: string): string | undefined {
  const found = readRecord(value)[key];
  return typeof found === "string" ? found : undefined;
}
