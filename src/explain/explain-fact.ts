import { escapeText } from "../escape-text.ts";

/** One thing that `penstock explain` says. */
export interface Fact {
  /** Empty where a line continues the list of the one before, which has everything for machines. */
  readonly name: string;
  readonly value: string;
  /** What machines are told beside or instead of the value, by name. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export function line(name: string, value: string): Fact {
  return { name, value };
}

/** Names and notes are of the configuration or of others: nothing of them reaches a terminal raw. */
export function formatFact({ name, value }: Fact): string {
  return escapeText(`${(name === "" ? "" : `${name}:`).padEnd(8)} ${value}`);
}

/** Facts that there can be several of, and how machines get them. */
const LISTS: Readonly<Record<string, string>> = { address: "addresses", list: "lists", note: "notes" };

/** Facts that machines get as a list of objects. */
const LISTS_OF_OBJECTS: Readonly<Record<string, string>> = { pool: "pools", tls: "certificates" };

/** Facts that only people are told: machines have them under `pools`. */
const FOR_PEOPLE = new Set(["chosen", "then", "spare", "without"]);

/** One object of all facts. Those of pools and certificates are in lists. */
export function mergeFacts(facts: readonly Fact[]): Record<string, unknown> {
  const merged: Record<string, unknown> = {};
  const lists: Record<string, unknown[]> = {};
  for (const { name, value, more } of facts) {
    if (name === "") continue;
    const list = LISTS[name];
    const objects = LISTS_OF_OBJECTS[name];
    if (objects !== undefined) {
      (lists[objects] ??= []).push(more);
      continue;
    }
    Object.assign(merged, more);
    if (list !== undefined) (lists[list] ??= []).push(value);
    else if (!FOR_PEOPLE.has(name) && more?.[name] === undefined) merged[name] = value;
  }
  return { ...merged, ...lists };
}
