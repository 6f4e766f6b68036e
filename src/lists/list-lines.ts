import { parseIp } from "../address/ip.ts";

/** What the entries of a list are. */
export type ListKind = "targets" | "server names" | "addresses" | "users";

/** The entries of one line; or why it cannot be used, as the rest of a sentence that begins with the line. */
export type ListLine = readonly string[] | { readonly reason: string };

const nothing: readonly string[] = [];

/** Names that hosts files have for the machine itself. */
const ownNames: ReadonlySet<string> = new Set(
  "localhost localhost.localdomain local broadcasthost ip6-localhost ip6-loopback ip6-localnet ip6-mcastprefix ip6-allnodes ip6-allrouters ip6-allhosts".split(
    " ",
  ),
);

/** The lines of a text, with their numbers from 1. A byte order mark and ends of lines are not part of them. */
export function* splitLines(text: string): Iterable<readonly [number: number, line: string]> {
  let from = text.startsWith("\u{FEFF}") ? 1 : 0;
  for (let number = 1; from < text.length; number++) {
    const end = text.indexOf("\n", from);
    const next = end < 0 ? text.length : end;
    yield [number, text.slice(from, next)];
    from = next + 1;
  }
}

/**
 * Reads a line of a list: one entry, as in the configuration; a comment; a line of a
 * hosts file, whose names are the entries; or `||example.org^` of an ad blocker, which is
 * the name and every name below it. The entries themselves are not checked.
 */
export function readListLine(line: string, kind: ListKind): ListLine {
  const text = line.trim();
  if (text === "" || text.startsWith("#")) return nothing;
  // A user may have any of the signs below in its name.
  if (kind === "users") return [text];
  const first = text.charCodeAt(0);
  if (first === EXCLAMATION || first === SEMICOLON) return nothing;
  if (text.length > MAX_LINE) return { reason: `has more than ${MAX_LINE} characters` };
  const entry = cutComment(text);
  if (first === BAR || first === AT) return readBlockerRule(entry);
  if (first === BRACKET && /^\[(?:adblock|adguard|ublock)[^\]]*\]$/i.test(entry)) return nothing;
  if (!/\s/.test(entry)) return entry.includes("#") ? { reason: otherBlockerRule } : [entry];
  return kind === "addresses" ? { reason: severalEntries } : readHostsLine(entry.split(/\s+/));
}

/** Characters of a line that is no comment: several names of the greatest length. What reads names is not made for megabytes. */
const MAX_LINE = 4096;

const EXCLAMATION = 0x21;
const SEMICOLON = 0x3b;
const BAR = 0x7c;
const AT = 0x40;
const BRACKET = 0x5b;

const severalEntries = "has more than one entry. Write one a line";
const otherBlockerRule =
  'is a rule of an ad blocker that is not about a whole name. Write "||example.org^", or leave it out';

/** Without a comment at its end, which has a space before it. Only where white space begins is looked: the time is linear. */
function cutComment(text: string): string {
  const match = /(?<=\S)\s+[#;!]/.exec(text);
  return match === null ? text : text.slice(0, match.index);
}

function readBlockerRule(rule: string): ListLine {
  if (rule.startsWith("@@"))
    return { reason: "is an exception of an ad blocker. A list has none: put a rule before this one instead" };
  if (rule.startsWith("@")) return { reason: "names another list. A list in a file has entries only" };
  const name = /^\|\|([^\s^$/|*:]+)\^$/.exec(rule)?.[1];
  if (name === undefined) return { reason: otherBlockerRule };
  return parseIp(name) === undefined ? [name, `*.${name}`] : [name];
}

/** The names of `address name name`. */
function readHostsLine([address = "", ...names]: readonly string[]): ListLine {
  if (parseIp(address.replace(/%.*$/, "")) === undefined) return { reason: severalEntries };
  const entries: string[] = [];
  for (const name of names) {
    // Well-known lists have "0.0.0.0 0.0.0.0".
    if (ownNames.has(name.toLowerCase()) || name === address) continue;
    if (/[:/*]/.test(name) || parseIp(name) !== undefined)
      return { reason: "is no line of a hosts file: after the address it has more than names" };
    entries.push(name);
  }
  return entries;
}
