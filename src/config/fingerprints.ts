import { isStep, type Steps } from "../steps.ts";
import { isRecord } from "./plain-data.ts";
import type { Materials } from "./materials.ts";
import { formatPath, quoteValue } from "./problem.ts";
import { nameEntry, redact } from "./secrets.ts";

/**
 * Short hashes of what a configuration for people does not show: secrets,
 * functions, and the content of files and variables; by a description of their
 * place. Only for comparing within this process.
 */
export function* takeFingerprintsInSteps(
  config: object,
  { files, variables }: Materials,
): Steps<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  function* visit(value: unknown, path: readonly PropertyKey[], setting: string): Steps<void> {
    if (typeof value === "function") found.set(formatPath(path), hash(String(value)));
    else if (typeof value === "string") {
      if (redact(value, setting) !== value) found.set(formatPath(path), hash(value));
    } else if (Array.isArray(value)) {
      for (const [at, entry] of value.entries()) {
        if (isStep(at)) yield;
        // A text of a list is no secret, unless it is the URL of one.
        if (typeof entry !== "string" || redact(entry) !== entry) yield* visit(entry, [...path, at], "");
      }
    } else if (isRecord(value)) {
      const { env } = value;
      if (typeof env === "string") found.set(`variable ${quoteValue(env)}`, hash(variables[env] ?? ""));
      for (const [key, entry] of Object.entries(value)) yield* visit(entry, [...path, key], nameEntry(setting, key));
    }
  }
  yield* visit(config, [], "");
  for (const [name, text] of files) found.set(`file ${quoteValue(name)}`, hash(text));
  return found;
}

/** One line for each thing of the same place that has another content. */
export function* diffFingerprintsInSteps(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Steps<string[]> {
  const lines: string[] = [];
  let at = 0;
  for (const [place, now] of after) {
    if (isStep(at++)) yield;
    const old = before.get(place);
    if (old !== undefined && old !== now) lines.push(`${place}: other content`);
  }
  return lines;
}

function hash(text: string): string {
  return Bun.hash(text).toString(36);
}
