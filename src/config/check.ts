import type * as z from "zod";

import { runAtOnce, type Steps } from "../steps.ts";
import { type Parts, parseParts } from "./parts.ts";
import { readList, readRecord } from "./plain-data.ts";
import type { Problem } from "./problem.ts";
import { ruleFieldList } from "./rule-fields.ts";
import { type Config, configSchema } from "./schema.ts";
import { usersSchema } from "./users-schema.ts";

/** A configuration that the schema accepts; or everything that is wrong with it, and the parts that are not. */
export type CheckedConfig =
  | { readonly ok: true; readonly value: Config }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly parts: Parts<Config> };

/** Checks a configuration as written. Reports everything that is wrong at once. */
export function checkConfig(raw: unknown): CheckedConfig {
  return runAtOnce(checkInSteps(raw));
}

/** `checkConfig`, in steps: long lists first, piece by piece. */
export function* checkInSteps(raw: unknown): Steps<CheckedConfig> {
  const right = new Set<unknown>();
  // They are checked again with the rest, which tells what is wrong. The same list may be in several places.
  const wrong = new Set<unknown>();
  for (const { list, schema } of findLongLists(raw)) {
    ((yield* isRight(list, schema)) ? right : wrong).add(list);
    yield;
  }
  const parsed = parseParts(configSchema, raw, right.difference(wrong));
  return parsed.ok ? parsed : { ok: false, problems: describeIssues(parsed.issues), parts: parsed.parts };
}

/** Items of a list that are checked in one step. Shorter lists are checked with the rest. */
const PIECE = 64;

interface LongList {
  readonly list: readonly unknown[];
  readonly schema: z.ZodType;
}

/** The users, and the lists of rules. */
function* findLongLists(raw: unknown): Iterable<LongList> {
  const { users, rules } = readRecord(raw);
  if (isLong(users)) yield { list: users, schema: usersSchema };
  for (const rule of readList(rules)) {
    for (const [name, { schema }] of ruleFieldList) {
      const list = readRecord(rule)[name];
      if (isLong(list)) yield { list, schema };
    }
  }
}

function isLong(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length > PIECE;
}

function* isRight(list: readonly unknown[], schema: z.ZodType): Steps<boolean> {
  for (let at = 0; at < list.length; at += PIECE) {
    const piece = list.slice(at, at + PIECE);
    const parsed = parseParts(schema, piece);
    if (!parsed.ok) return false;
    yield;
  }
  return true;
}

function describeIssues(issues: readonly z.core.$ZodIssue[]): Problem[] {
  const problems = issues.flatMap(describeIssue);
  // A number that is beyond all bounds breaks two of them, in the same words.
  return problems.filter(
    ({ path, message }, at) =>
      message !== problems[at - 1]?.message || path.join("\n") !== problems[at - 1]?.path.join("\n"),
  );
}

/** One problem for each unknown setting. */
function describeIssue(issue: z.core.$ZodIssue): Problem[] {
  const { path, message } = issue;
  if (issue.code !== "unrecognized_keys") return [{ path, message }];
  const lines = message.split("\n");
  return issue.keys.map((key, at) => ({ path: [...path, key], message: lines[at] ?? message }));
}
