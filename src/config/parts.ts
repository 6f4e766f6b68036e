import * as z from "zod";

import type { Problem } from "./problem.ts";

/** The value of a part that the schema refused: it is set, but malformed. */
export const MALFORMED: unique symbol = Symbol("malformed");

/** A value of the schema, any part of which may be malformed. */
export type Parts<T> =
  | typeof MALFORMED
  | (T extends (...args: never[]) => unknown ? T : T extends object ? { readonly [Key in keyof T]: Parts<T[Key]> } : T);

/** The parts of a value that can be read as a whole. */
export type PartsOf<T> = Exclude<Parts<T>, typeof MALFORMED>;

/** Finds settings that contradict each other. Paths of its problems begin at the value that it is given. */
export type FindConflicts<T> = (parts: PartsOf<T>) => Iterable<Problem>;

/**
 * Adds a check for conflicts to a schema. Zod skips a refinement when any part is
 * malformed; this one still runs, on the well-formed parts, so that all problems
 * are reported at once.
 */
export function checked<Schema extends z.ZodType>(schema: Schema, find: FindConflicts<z.output<Schema>>): Schema {
  return schema.superRefine(
    (value, context) => {
      for (const issue of context.issues) {
        if (!isRefusal(issue)) continue;
        const path = issue.path ?? [];
        if (path.length === 0) return;
        markMalformed(value, path);
      }
      for (const { path, message } of find(value as PartsOf<z.output<Schema>>))
        context.addIssue({ code: "custom", path: [...path], message, params: { [CONFLICT_MARK]: true } });
    },
    { when: () => true },
  );
}

/**
 * Parses `raw`; when it is wrong, gives the problems and the well-formed parts.
 * The items of `accepted` lists are known to be right, and to be their own results.
 */
export function parseParts<Schema extends z.ZodType>(
  schema: Schema,
  raw: unknown,
  accepted?: ReadonlySet<unknown>,
): { ok: true; value: z.output<Schema> } | { ok: false; issues: z.core.$ZodIssue[]; parts: Parts<z.output<Schema>> } {
  const context: Context = { async: false, ...(accepted && { accepted }) };
  const { value, issues } = schema._zod.run({ value: raw, issues: [] }, context) as z.core.ParsePayload;
  if (issues.length === 0) return { ok: true, value: value as z.output<Schema> };
  const isUseless = issues.some((issue) => isRefusal(issue) && (issue.path ?? []).length === 0);
  return {
    ok: false,
    issues: issues.map((issue) => z.core.util.finalizeIssue(issue, context, z.core.config())),
    parts: isUseless ? MALFORMED : (value as Parts<z.output<Schema>>),
  };
}

interface Context extends z.core.ParseContextInternal {
  readonly accepted?: ReadonlySet<unknown>;
}

/** Whether the items of a list are known to be right. */
export function isAccepted(list: unknown, context: z.core.ParseContextInternal): boolean {
  return (context as Context).accepted?.has(list) === true;
}

/** The value of a part, when nothing in it is malformed. */
export function readWhole<T>(parts: Parts<T>): T | undefined {
  return isWhole(parts) ? (parts as T) : undefined;
}

function isWhole(value: unknown): boolean {
  if (value === MALFORMED) return false;
  return typeof value !== "object" || value === null || Object.values(value).every(isWhole);
}

/** Marks an issue that is about well-formed settings. */
const CONFLICT_MARK = "conflict";

/** Whether the value at the path of the issue cannot be used. Settings that are not known are left out of the value. */
function isRefusal(issue: z.core.$ZodRawIssue): boolean {
  return issue.code !== "unrecognized_keys" && !(issue.code === "custom" && issue.params?.[CONFLICT_MARK] === true);
}

/** Changes the value of a failed parse, which no other code reads. */
function markMalformed(value: unknown, path: readonly PropertyKey[]): void {
  let holder = value as Record<PropertyKey, unknown>;
  for (const key of path.slice(0, -1)) {
    const next = holder[key];
    if (typeof next !== "object" || next === null) return;
    holder = next as Record<PropertyKey, unknown>;
  }
  const last = path.at(-1);
  if (last !== undefined) holder[last] = MALFORMED;
}
