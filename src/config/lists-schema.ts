import * as z from "zod";

import { parseCidr } from "../address/cidr.ts";
import { duration, either, list, settings, text, textPatterns } from "./fields.ts";
import { checked, MALFORMED, type Parts } from "./parts.ts";
import { type Problem, quoteNamed, quoteValue } from "./problem.ts";
import type { References } from "./references.ts";
import { suggest } from "./suggest.ts";

const fileList = settings({
  file: text("the path of a file").describe(
    "Path of a file with one entry a line, relative to the configuration file. The proxy reads it again when it changes.",
  ),
});

const urlList = settings({
  url: text('a URL such as "https://lists.example/allow.txt"', findUrlFault, () => "The URL").describe(
    "`https` or `http` URL of a list with one entry a line. It is never fetched through a proxy.",
  ),
  every: duration({ zero: false })
    .describe(
      "How often the list is fetched again, give or take a tenth. After a failure it is tried sooner. Default: `1h`.",
    )
    .optional(),
  sha256: text("a SHA-256 in hexadecimal", (value) =>
    /^[0-9a-f]{64}$/i.test(value) ? undefined : "is no SHA-256. Write 64 hexadecimal digits, as sha256sum prints them",
  )
    .describe("The SHA-256 that the list must have, in hexadecimal. Default: any.")
    .optional(),
});

function findUrlFault(url: string): string | undefined {
  return /^https?:\/\//i.test(url) && URL.canParse(url) ? undefined : 'is no URL of a list. Write "https://host/path"';
}

/** Where a list is. */
const listSettings = either("a map with file or url", [fileList, urlList], undefined, ["file"]);

export type ListSettings = z.output<typeof listSettings>;

/** An entry of a rule, a named list (`@dev`), or a list in a file or at a URL. */
export type ListEntry = string | ListSettings;

export const listsReferences: References = { texts: { file: "list" }, isNamed: true };

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

/** What an entry may be: `findFault` is as `text` takes it, `pattern` for the JSON Schema. */
interface EntryForm {
  readonly findFault: (entry: string) => string | undefined;
  readonly pattern?: string;
}

/** An address or a range of addresses. */
export const rangeForm: EntryForm = {
  findFault: (written) => {
    const range = parseCidr(written);
    return range.ok ? undefined : range.reason;
  },
  pattern: textPatterns.cidr,
};

/** A list of entries, among which may be lists. */
export function listOfEntries(
  wantedEntry: string,
  wanted: string,
  { findFault, pattern }: EntryForm = { findFault: () => undefined },
) {
  const find = (entry: string) => (entry.startsWith("@") ? findReferenceFault(entry) : findFault(entry));
  const plain = text(wantedEntry, find);
  const entry = pattern === undefined ? plain : plain.meta({ pattern: `^@[A-Za-z0-9]|${pattern}` });
  return list(either(wantedEntry, [entry, fileList, urlList], undefined, [undefined, "file"]), wanted);
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

/** Names of the lists that are fetched. */
export function listFetched(lists: Parts<Lists>): ReadonlySet<string> {
  if (lists === MALFORMED || lists === undefined) return new Set();
  const names = Object.entries(lists).filter(([, each]) => each !== MALFORMED && "url" in each);
  return new Set(names.map(([name]) => name));
}

/** Whether one of the entries, as written, is a list that is fetched. */
export function hasFetched(entries: unknown, fetched: ReadonlySet<string>): boolean {
  return (
    Array.isArray(entries) &&
    entries.some((entry: unknown) =>
      typeof entry === "object" && entry !== null ? "url" in entry : fetched.has(readListName(entry) ?? ""),
    )
  );
}

/** How messages name the place of a list: without what may be a secret in a URL. */
export function nameSource(source: ListSettings): string {
  if ("file" in source) return quoteValue(source.file);
  const { origin, pathname, search } = new URL(source.url);
  return `${origin}${pathname}${search === "" ? "" : "?…"}`;
}

/** What is wrong with a rule that opens special-purpose addresses to a list from a URL. */
export const fetchedPrivate: Problem = {
  path: [],
  message:
    "A list from a URL cannot open special-purpose addresses: whoever writes it could reach inside. Take it from a file, or write a rule of its own.",
};

/** What is wrong with a rule that sends secrets to a list from a URL. */
export const fetchedSecrets: Problem = {
  path: [],
  message:
    "A list from a URL cannot say who gets a secret: whoever writes it could name a host of their own. Take it from a file, or name the hosts.",
};
