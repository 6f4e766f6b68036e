import { type CodeBlock, listPages, readBlocks } from "./documentation.ts";
import { ownRunners } from "./line-facts.ts";

/** A command line of a page for users. */
export interface DocumentedLine {
  readonly page: string;
  /** The page and the line within it, from 1. */
  readonly place: string;
  /** As it is written: with its comment, and all lines of it where it goes on. */
  readonly text: string;
}

/** The pages that have command lines, without those that have a runner of their own. */
export function listCommandPages(): string[] {
  return listPages().filter((page) => ownRunners[page] === undefined && readCommandLines(page).length > 0);
}

/** The command lines of a page, in order. */
export function readCommandLines(page: string): DocumentedLine[] {
  return readBlocks(page).flatMap((block) => readBlockLines(page, block));
}

/** The command lines in a `sh` or `console` block; none in others. */
export function readBlockLines(page: string, { place, language, text }: CodeBlock): DocumentedLine[] {
  if (language !== "sh" && language !== "console") return [];
  const first = Number(place.slice(place.lastIndexOf(":") + 1)) + 1;
  return joinLines(text.split("\n"), language === "console").map(({ at, line }) => ({
    page,
    place: `${page}:${first + at}`,
    text: line,
  }));
}

/** Lines that belong together are one: after a backslash, and up to the end of a here-document. */
function joinLines(lines: readonly string[], isConsole: boolean): { readonly at: number; readonly line: string }[] {
  const joined: { at: number; line: string }[] = [];
  let goesOn = (_line: string): boolean => false;
  for (const [at, line] of lines.entries()) {
    const last = joined.at(-1);
    if (last !== undefined && goesOn(last.line)) {
      last.line += `\n${line}`;
      continue;
    }
    const command = isConsole ? /^\$ (.*)$/.exec(line)?.[1] : line.trim();
    if (command === undefined || command === "" || command.startsWith("#")) continue;
    joined.push({ at, line: command });
    const mark = /<<-?\s*'?(\w+)'?/.exec(command)?.[1];
    goesOn = mark === undefined ? (text) => text.endsWith("\\") : (text) => !text.endsWith(`\n${mark}`);
  }
  return joined;
}
