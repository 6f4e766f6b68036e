import * as z from "zod";

import { either, list, settings, text } from "./fields.ts";
import { checked, MALFORMED, type Parts } from "./parts.ts";
import { type Problem, quoteNamed, quoteValue } from "./problem.ts";
import { suggest } from "./suggest.ts";

const fileList = settings({
  file: text("the path of a file").describe(
    "Path of a file with one entry a line, relative to the configuration file. The proxy reads it again when it changes.",
  ),
});

/** Where a list is. */
const listSettings = fileList;

export type ListSettings = z.output<typeof listSettings>;

/** An entry of a rule, a named list (`@dev`), or a list in a file. */
export type ListEntry = string | ListSettings;

/** The lists that rules name. */
export const listsSchema = checked(
  z.record(z.string(), listSettings, {
    error: 'Write a map from names to lists, as in { dev: { file: "dev.txt" } }.',
  }),
  (lists) => Object.keys(lists).flatMap((name) => findNameConflicts(name)),
)
  .describe('Lists by name, for `from`, `users`, `to` and `sni` of rules: `{ dev: { file: "dev.txt" } }` is `"@dev"`.')
  .optional();

export type Lists = z.output<typeof listsSchema>;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

function findNameConflicts(name: string): Problem[] {
  const message =
    "The name of the list has other characters. Write up to 64 letters, digits, dots, hyphens or underscores.";
  return NAME.test(name) ? [] : [{ path: [name], message }];
}

/** A list of entries, among which may be lists. `findFault` is about an entry, as `text` takes it. */
export function listOfEntries(
  wantedEntry: string,
  wanted: string,
  findFault: (entry: string) => string | undefined = () => undefined,
) {
  const find = (entry: string) => (entry.startsWith("@") ? findReferenceFault(entry) : findFault(entry));
  return list(either(wantedEntry, [text(wantedEntry, find), listSettings]), wanted);
}

function findReferenceFault(entry: string): string | undefined {
  return NAME.test(entry.slice(1)) ? undefined : 'names no list. Write "@" and the name of a list in "lists"';
}

/** The name of the list that an entry refers to. */
export function readListName(entry: unknown): string | undefined {
  return typeof entry === "string" && entry.startsWith("@") ? entry.slice(1) : undefined;
}

/** Names of lists, in the entries of a field, that the configuration does not have. */
export function findUnknownLists(entries: unknown, lists: readonly string[] | undefined): Problem[] {
  if (!Array.isArray(entries) || lists === undefined) return [];
  const problems: Problem[] = [];
  for (const [at, entry] of (entries as readonly unknown[]).entries()) {
    const name = readListName(entry);
    if (name === undefined || lists.includes(name)) continue;
    const hint = suggest(name, lists);
    problems.push({ path: [at], message: `There is no ${quoteNamed("list", name)}.${hint}` });
  }
  return problems;
}

/** Names of the lists; undefined when they cannot be read. */
export function listNames(lists: Parts<Lists>): readonly string[] | undefined {
  return lists === MALFORMED ? undefined : Object.keys(lists ?? {});
}

/** How messages name the place of a list. */
export function nameSource(source: ListSettings): string {
  return quoteValue(source.file);
}
