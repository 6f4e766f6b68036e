import { type AST, ParseError, parseTOML } from "toml-eslint-parser";

import { findPosition, type ParsedText, type Wanted } from "./places.ts";

/**
 * Reads TOML with the parser of the runtime, which takes a tenth of the time.
 * Its errors have no place, so that the library finds that.
 */
export function parseToml(text: string): ParsedText {
  try {
    return { ok: true, value: Bun.TOML.parse(text) };
  } catch (error) {
    const message = describe(error instanceof Error ? error.message : String(error));
    return { ok: false, message, ...findFault(text) };
  }
}

/** The parser quotes words of the text, which may be a password without its quotes; signs it may quote. */
function describe(message: string): string {
  const words = message.replace(/((['"])[^\p{L}\p{N}]{1,3}\2)|['"].*$/gsu, "$1").replace(/[\s:]+$/, "");
  return `${words.replace(/^TOML Parse error: /, "The TOML cannot be read: ")}.`;
}

/** Where the text is wrong; where the last setting begins, when that goes on to the end of the text. */
function findFault(text: string): { line: number; column: number } | undefined {
  const error = readTree(text);
  if (!(error instanceof ParseError)) return undefined;
  const { index } = error;
  const last = text.slice(index).trim() === "" ? [...text.matchAll(/^[^\s=]+[ \t]*=/gm)].at(-1)?.index : undefined;
  const [line, column] = findPosition(text, last ?? index);
  return { line, column };
}

/** Notes where the wanted settings of a TOML text begin, by tables, dotted names, lists and inline tables. */
export function locateInToml(text: string, wanted: Wanted): void {
  const tree = readTree(text);
  // The runtime may accept what the library does not: then there are no places.
  if (!(tree instanceof ParseError)) locateEntries(tree.body[0].body, wanted);
}

function readTree(text: string): AST.TOMLProgram | ParseError {
  try {
    return parseTOML(text, { tomlVersion: "latest" });
  } catch (error) {
    if (error instanceof ParseError) return error;
    throw error;
  }
}

function locateEntries(entries: readonly (AST.TOMLKeyValue | AST.TOMLTable)[], wanted: Wanted | undefined): void {
  for (const entry of entries) {
    const [start] = entry.range;
    if (entry.type === "TOMLTable") {
      const steps = entry.resolvedKey.map((key) => ({ key, at: start }));
      locateEntries(entry.body, note(wanted, steps));
    } else {
      const steps = entry.key.keys.map((key) => ({ key: nameKey(key), at: key.range[0] }));
      locateValue(entry.value, note(wanted, steps));
    }
  }
}

function locateValue(value: AST.TOMLContentNode, wanted: Wanted | undefined): void {
  if (wanted === undefined || wanted.members.size === 0) return;
  if (value.type === "TOMLInlineTable") locateEntries(value.body, wanted);
  if (value.type === "TOMLArray")
    for (const [at, element] of value.elements.entries())
      locateValue(element, note(wanted, [{ key: at, at: element.range[0] }]));
}

function nameKey(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === "TOMLBare" ? key.name : key.value;
}

/** A name or an index, and where it is written. */
interface Step {
  readonly key: string | number;
  readonly at: number;
}

/** Notes the place of a setting and of those around it, and gives what is wanted of it. */
function note(wanted: Wanted | undefined, path: readonly Step[]): Wanted | undefined {
  let node = wanted;
  for (const { key, at } of path) {
    node = node?.members.get(String(key));
    if (node !== undefined) node.at ??= at;
  }
  return node;
}
