import { containsIp } from "../address/cidr.ts";
import type { Host } from "../address/host.ts";
import { type ListKind, readListLine, splitLines } from "../lists/list-lines.ts";
import type { ListQuestion } from "../lists/list-source.ts";
import type { TargetPattern } from "../proxy/policy/target-index.ts";
import { nameRule } from "./compile-policy.ts";
import { readCidrs } from "./fields.ts";
import { findList, keyOf, listFields } from "./list-reader.ts";
import { type ListEntry, nameSource } from "./lists-schema.ts";
import type { RuleSettings } from "./rule-schema.ts";
import type { Config } from "./schema.ts";
import { readTarget } from "./target-pattern.ts";

/**
 * Says for each field of a rule which line of which list it matches by:
 * `to: "allow.txt", line 3`. Nothing for a field that matches by an entry of its own.
 */
export function locateEntries(
  { rules, lists }: Config,
  texts: ReadonlyMap<string, string>,
  name: string,
  question: ListQuestion,
): string[] {
  if (typeof rules === "function") return [];
  const rule = rules.find((each, at): each is RuleSettings => typeof each === "object" && nameRule(each, at) === name);
  if (rule === undefined) return [];
  return Object.entries(listFields).flatMap(([field, kind]) => {
    const entries = rule[field as keyof typeof listFields];
    // SNI is not known before the tunnel begins.
    if (!Array.isArray(entries) || kind === "server names") return [];
    const found = locate(entries, kind, { lists, texts, denies: rule.deny === true }, question);
    return found === undefined ? [] : [`${field}: ${found}`];
  });
}

interface Contents {
  readonly lists: Config["lists"];
  readonly texts: ReadonlyMap<string, string>;
  readonly denies: boolean;
}

function locate(
  entries: readonly ListEntry[],
  kind: ListKind,
  { lists, texts, denies }: Contents,
  question: ListQuestion,
): string | undefined {
  let missing: string | undefined;
  for (const entry of entries) {
    const list = findList(entry, lists);
    if (list === undefined) {
      if (matches(entry as string, kind, question)) return undefined;
      continue;
    }
    const name = typeof entry === "string" ? `${entry} (${nameSource(list)})` : nameSource(list);
    const text = texts.get(keyOf(list));
    if (text === undefined) missing ??= name;
    const line = text === undefined ? undefined : findLine(text, kind, question);
    if (line !== undefined) return `${name}, line ${line}`;
  }
  return denies && missing !== undefined ? `${missing} has no content, so the rule denies everything` : undefined;
}

function findLine(text: string, kind: ListKind, question: ListQuestion): number | undefined {
  for (const [number, line] of splitLines(text)) {
    const read = readListLine(line, kind);
    if (!("reason" in read) && read.some((entry) => matches(entry, kind, question))) return number;
  }
  return undefined;
}

function matches(entry: string, kind: ListKind, { client, user, hosts, port }: ListQuestion): boolean {
  switch (kind) {
    case "users":
      return entry === user;
    case "addresses":
      return readCidrs([entry]).some((range) => containsIp(range, client));
    case "targets":
    case "server names": {
      const pattern = readTarget(entry);
      return hasPort(pattern, port) && hosts.some((host) => hasHost(pattern.host, host));
    }
    default:
      return kind satisfies never;
  }
}

function hasPort({ ports }: TargetPattern, port: number): boolean {
  return ports.length === 0 || ports.some(([from, to]) => port >= from && port <= to);
}

function hasHost(pattern: TargetPattern["host"], host: Host): boolean {
  switch (pattern.kind) {
    case "any":
      return true;
    case "name":
      return host.text === pattern.name;
    case "suffix":
      return host.kind === "name" && host.text.endsWith(`.${pattern.suffix}`);
    case "cidr":
      return host.kind === "ip" && containsIp(pattern.cidr, host.ip);
    default:
      return pattern satisfies never;
  }
}
