import { type ListKind, readListLine, splitLines } from "../lists/list-lines.ts";
import { type ListEntry, type Lists, type ListSettings, readListName } from "./lists-schema.ts";

/** The fields of a rule that may have lists, and what the entries of those are. */
export const listFields = {
  from: "addresses",
  users: "users",
  to: "targets",
  sni: "server names",
} as const satisfies Readonly<Record<string, ListKind>>;

/**
 * The entries of a field of one rule, those of its lists included. Undefined when one of the
 * lists has no content and the rule denies: what it would have judged is refused then.
 */
export type ReadEntries = (entries: readonly ListEntry[], kind: ListKind) => Iterable<string> | undefined;

/** Equal for the same list. */
export function keyOf(list: ListSettings): string {
  return "file" in list ? `file ${list.file}` : `url ${list.url} ${list.sha256 ?? ""}`.trim();
}

/** The list that an entry stands for; undefined for an entry that is no list. */
export function findList(entry: ListEntry, lists: Lists): ListSettings | undefined {
  if (typeof entry === "object") return entry;
  const name = readListName(entry);
  return name === undefined ? undefined : lists?.[name];
}

/** The entries of a text that was found right. */
function* readEntries(text: string, kind: ListKind): Iterable<string> {
  for (const [, line] of splitLines(text)) {
    const read = readListLine(line, kind);
    if ("reason" in read) throw new Error(`A line that should have been refused ${read.reason}`);
    yield* read;
  }
}

/** Reads entries with these texts of lists, by key. `onLacking` is told when a rule that denies lacks one. */
export function createReader(
  lists: Lists,
  texts: ReadonlyMap<string, string>,
  denies: boolean,
  onLacking: () => void,
): ReadEntries {
  return (entries, kind) => {
    if (entries.every(isPlain)) return entries;
    const parts: (string | { readonly text: string })[] = [];
    for (const entry of entries) {
      const list = findList(entry, lists);
      const text = list && texts.get(keyOf(list));
      if (list === undefined) parts.push(entry as string);
      else if (text !== undefined) parts.push({ text });
      else if (denies) {
        onLacking();
        return undefined;
      }
    }
    // Each iteration reads again, so that a long list is kept only as a text.
    return { [Symbol.iterator]: () => readParts(parts, kind) };
  };
}

function* readParts(parts: readonly (string | { readonly text: string })[], kind: ListKind): Generator<string> {
  for (const part of parts)
    if (typeof part === "string") yield part;
    else yield* readEntries(part.text, kind);
}

function isPlain(entry: ListEntry): entry is string {
  return typeof entry === "string" && !entry.startsWith("@");
}
