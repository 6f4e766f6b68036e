import { resolve } from "node:path";

import { parseCidr } from "../address/cidr.ts";
import { cutText, escapeText } from "../escape-text.ts";
import { type ListKind, readListLine, splitLines } from "../lists/list-lines.ts";
import type { ListSource, ListsPlan } from "../lists/list-source.ts";
import type { StateFolderPlan } from "../state/state-folder.ts";
import { isStep, type Steps } from "../steps.ts";
import { compilePolicy, readRules } from "./compile-policy.ts";
import { findList, keyOf, listFields } from "./list-reader.ts";
import { type ListEntry, type ListSettings, nameSource } from "./lists-schema.ts";
import { locateEntries } from "./locate-entries.ts";
import type { Materials } from "./materials.ts";
import { formatPlace } from "./places.ts";
import { formatProblem, type Problem, quoteSubject, quoteValue, writeSentence } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import type { RuleSettings } from "./rule-schema.ts";
import type { Config } from "./schema.ts";
import { hasSecrets } from "./request-edits.ts";
import { findServerNameFault, findTargetFault, isEveryHost } from "./target-pattern.ts";
import { findNameFault } from "./users-schema.ts";

/** A list, and how rules use it. */
interface UsedList {
  readonly settings: ListSettings;
  readonly source: ListSource;
  /** The first place that uses it. */
  readonly path: readonly PropertyKey[];
  readonly kinds: Set<ListKind>;
  /** A rule denies by it: without an entry it would deny nothing. */
  denies: boolean;
  /** A rule sends secrets to the targets in it: every host must not be one. */
  sendsSecrets: boolean;
}

/** The lists of a configuration with their texts, and what is wrong with them. */
interface CompiledLists {
  readonly plan: ListsPlan | undefined;
  /** Positions of the rules that have lists. */
  readonly rules: ReadonlySet<number>;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Lines of one list that are told as wrong. */
const MAX_TOLD = 20;

/** Checks the lists that rules use, in steps. */
export function* compileListsInSteps(
  config: Config,
  materials: Materials,
  state: StateFolderPlan | undefined,
): Steps<CompiledLists> {
  const { used, rules } = findUsedLists(config, materials);
  const texts = new Map<string, string>();
  const entries = new Map<string, number>();
  const kept = new Set<string>();
  const problems: Problem[] = [];
  const warnings = findUnused(config);
  for (const each of used.values()) {
    const { key } = each.source;
    warnings.push(...findOpenUrl(each));
    const fresh = yield* readFresh(each, materials);
    const last = fresh.text === undefined ? materials.findLastList?.(key, state?.path) : undefined;
    const lastCheck = last === undefined ? undefined : yield* checkText(each, last);
    const text = fresh.text ?? (lastCheck?.problems.length === 0 ? last : undefined);
    if (text !== undefined) {
      texts.set(key, text);
      entries.set(key, fresh.entries ?? lastCheck?.entries ?? 0);
      if (fresh.text === undefined) kept.add(key);
    }
    if (text === undefined) problems.push(...fresh.faults);
    else for (const fault of fresh.faults) warnings.push({ ...fault, message: `${fault.message} ${keptLast}` });
  }
  const plan: ListsPlan = {
    sources: Array.from(used.values(), ({ source }) => source),
    texts,
    entries,
    kept,
    *check(key, text) {
      const list = used.get(key);
      if (list === undefined) return { faults: [], entries: 0 };
      const found = yield* checkText(list, text);
      return { faults: found.problems.map((fault) => formatProblem({ ...fault, path: [] })), entries: found.entries };
    },
    compile: (next) => compilePolicy(config, readRules(config, materials, next)),
    locate: (rule, question, inUse = texts) => locateEntries(config, inUse, rule, question),
  };
  return { plan: used.size > 0 ? plan : undefined, rules, problems, warnings };
}

const keptLast = "The last good list is used.";

/** The text of a file, or what is wrong with it. What a URL has is not known here. */
function* readFresh(
  list: UsedList,
  { files, unread }: Materials,
): Steps<{ readonly text?: string; readonly entries?: number; readonly faults: readonly Problem[] }> {
  const { settings, path } = list;
  if (!("file" in settings)) return { faults: [] };
  const reason = unread?.get(settings.file);
  if (reason !== undefined)
    return { faults: [{ path, message: `Cannot read ${quoteValue(settings.file)}: ${reason}.` }] };
  const text = files.get(settings.file);
  if (text === undefined) return { faults: [] };
  const { problems: faults, entries } = yield* checkText(list, text);
  return faults.length === 0 ? { text, entries, faults } : { faults };
}

function findOpenUrl({ settings, path }: UsedList): Problem[] {
  if ("file" in settings || settings.sha256 !== undefined || !/^http:/i.test(settings.url)) return [];
  const message = 'The list is fetched without TLS: whoever is on the way can change it. Use https, or set "sha256".';
  return [{ path, message }];
}

/** The lists of rules by their keys, and the rules that have some. */
function findUsedLists(
  { rules, lists }: Config,
  { folder }: Pick<Materials, "folder">,
): { readonly used: Map<string, UsedList>; readonly rules: ReadonlySet<number> } {
  const used = new Map<string, UsedList>();
  const withLists = new Set<number>();
  for (const [path, rule, kind, entry] of listEntries(rules)) {
    const settings = findList(entry, lists);
    if (settings === undefined) continue;
    withLists.add(path[1]);
    const key = keyOf(settings);
    const known = used.get(key) ?? {
      settings,
      source: {
        key,
        name: nameSource(settings),
        label: labelList(entry, settings),
        at: describePlace(settings, folder),
      },
      path,
      kinds: new Set(),
      denies: false,
      sendsSecrets: false,
    };
    known.kinds.add(kind);
    known.denies ||= rule.deny === true;
    known.sendsSecrets ||= kind === "targets" && hasSecrets(rule.request);
    used.set(key, known);
  }
  return { used, rules: withLists };
}

/** Labels of metrics have no more characters. */
const MAX_LABEL = 200;

function labelList(entry: ListEntry, settings: ListSettings): string {
  const label = typeof entry === "string" ? entry : "file" in settings ? settings.file : nameSource(settings);
  return escapeText(cutText(label, MAX_LABEL));
}

function describePlace(settings: ListSettings, folder: string): ListSource["at"] {
  if ("file" in settings) return { kind: "file", path: resolve(folder, settings.file) };
  const { url, every = "1h", sha256 } = settings;
  return { kind: "url", url, everyMs: readDuration(every), ...(sha256 !== undefined && { sha256 }) };
}

type EntryPath = readonly ["rules", number, string, number];

/** Every entry of rules that may be a list. */
function* listEntries(rules: Config["rules"]): Iterable<readonly [EntryPath, RuleSettings, ListKind, ListEntry]> {
  if (typeof rules === "function") return;
  for (const [at, rule] of rules.entries()) {
    if (typeof rule === "function") continue;
    for (const [name, kind] of Object.entries(listFields)) {
      const entries = rule[name as keyof typeof listFields];
      if (!Array.isArray(entries)) continue;
      for (const [place, entry] of entries.entries()) yield [["rules", at, name, place], rule, kind, entry];
    }
  }
}

/** Named lists that no rule uses are not read. */
function findUnused({ rules, lists = {} }: Config): Problem[] {
  const named = new Set(Object.keys(lists));
  if (named.size === 0) return [];
  for (const [, , , entry] of listEntries(rules)) if (typeof entry === "string") named.delete(entry.slice(1));
  return Array.from(named, (name) => ({
    path: ["lists", name],
    message: `No rule uses this list, so its entries are not checked. Write "@${name}" in a rule, or leave it out.`,
  }));
}

interface TextCheck {
  readonly problems: readonly Problem[];
  readonly entries: number;
}

/** What is wrong with the text of a list, and how many entries it has. */
function* checkText({ source, path, kinds, denies, sendsSecrets }: UsedList, text: string): Steps<TextCheck> {
  const problems: Problem[] = [];
  const file = source.at.kind === "file" ? source.at.path : source.name;
  let entries = 0;
  let more = 0;
  for (const [number, line] of splitLines(text)) {
    if (isStep(number)) yield;
    let inLine = 0;
    for (const kind of kinds) {
      const fault = findLineFault(line, kind, sendsSecrets && kind === "targets");
      if (typeof fault === "number") {
        inLine = Math.max(inLine, fault);
        continue;
      }
      if (problems.length < MAX_TOLD) problems.push({ path, place: formatPlace(file, number), message: fault });
      else more += 1;
      break;
    }
    entries += inLine;
  }
  if (more > 0) problems.push({ path, place: file, message: `${more} more lines cannot be used.` });
  if (denies && entries === 0 && problems.length === 0)
    problems.push({
      path,
      place: file,
      message: "The list has no entries, so that a rule would deny nothing by it. Write one, or take the list out.",
    });
  return { problems, entries };
}

/** How many entries a line has, or what is wrong with it. */
function findLineFault(line: string, kind: ListKind, getsSecrets: boolean): number | string {
  const read = readListLine(line, kind);
  if ("reason" in read) return writeSentence(quoteSubject(line.trim()), read.reason);
  for (const entry of read) {
    const fault =
      faultFinders[kind](entry) ??
      (getsSecrets && isEveryHost(entry)
        ? "is every host, and a rule would send a secret there. Name the hosts"
        : undefined);
    if (fault !== undefined) return writeSentence(quoteSubject(entry), fault);
  }
  return read.length;
}

const faultFinders: Readonly<Record<ListKind, (entry: string) => string | undefined>> = {
  targets: findTargetFault,
  "server names": findServerNameFault,
  addresses(entry) {
    const range = parseCidr(entry);
    return range.ok ? undefined : range.reason;
  },
  users: findNameFault,
};
