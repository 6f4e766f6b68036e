import { isRecord } from "./plain-data.ts";
import type { Materials } from "./materials.ts";
import { formatPath, quoteValue } from "./problem.ts";
import { redact } from "./secrets.ts";

/**
 * Short hashes of what a configuration for people does not show: secrets,
 * functions, and the content of files and variables; by a description of their
 * place. Only for comparing within this process.
 */
export function takeFingerprints(config: object, { files, variables }: Materials): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const visit = (value: unknown, path: readonly PropertyKey[], setting: string): void => {
    if (typeof value === "function") found.set(formatPath(path), hash(String(value)));
    else if (typeof value === "string") {
      if (redact(value, setting) !== value) found.set(formatPath(path), hash(value));
    } else if (Array.isArray(value)) {
      for (const [at, entry] of value.entries()) visit(entry, [...path, at], "");
    } else if (isRecord(value)) {
      const { env } = value;
      if (typeof env === "string") found.set(`variable ${quoteValue(env)}`, hash(variables[env] ?? ""));
      for (const [key, entry] of Object.entries(value)) visit(entry, [...path, key], key);
    }
  };
  visit(config, [], "");
  for (const [name, text] of files) found.set(`file ${quoteValue(name)}`, hash(text));
  return found;
}

/** One line for each thing of the same place that has another content. */
export function diffFingerprints(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...after].flatMap(([place, now]) => {
    const old = before.get(place);
    return old === undefined || old === now ? [] : `${place}: other content`;
  });
}

function hash(text: string): string {
  return Bun.hash(text).toString(36);
}
