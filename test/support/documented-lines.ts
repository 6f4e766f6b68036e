import { type CodeBlock, listPages, readBlocks } from "./documentation.ts";
import { ownRunners } from "./line-facts.ts";

/** A command line of a page for users. */
export interface DocumentedLine {
  readonly page: string;
  /** The page and the line within it, from 1. */
  readonly place: string;
  /** As it is written: with its comment, and all lines of it where it goes on. */
  readonly text: string;
  /** What the page shows of its output: the lines after it in a `console` block, or the block that follows. */
  readonly shown: readonly string[];
}

/** The pages that have command lines, without those that have a runner of their own. */
export function listCommandPages(): string[] {
  return listPages().filter((page) => ownRunners[page] === undefined && readCommandLines(page).length > 0);
}

/** The command lines of a page, in order. */
export function readCommandLines(page: string): DocumentedLine[] {
  const blocks = readBlocks(page);
  return blocks.flatMap((block, at) => readBlockLines(page, block, blocks[at + 1]));
}

/** The command lines in a `sh` or `console` block; none in others. `next` is the block after it. */
export function readBlockLines(
  page: string,
  { place, language, text }: CodeBlock,
  next: CodeBlock | undefined,
): DocumentedLine[] {
  if (language !== "sh" && language !== "console") return [];
  const first = Number(place.slice(place.lastIndexOf(":") + 1)) + 1;
  const lines = joinLines(text.split("\n"), language === "console");
  const isOutput = next?.follows === true && (next.language === "" || next.language === "text");
  if (isOutput) lines.at(-1)?.shown.push(...next.text.split("\n"));
  return lines.map(({ at, line, shown }) => ({ page, place: `${page}:${first + at}`, text: line, shown }));
}

/**
 * The lines that a page shows and the output does not have. Numbers and spaces are
 * of no matter, and `…` stands for anything; lines that are `examples` of another
 * time or machine are passed over.
 */
export function findUnseen(shown: readonly string[], output: string, examples?: RegExp): string[] {
  const seen = output.split(/[\r\n]+/).map(simplify);
  return shown.filter((line) => {
    const wanted = simplify(line);
    if (wanted === "" || wanted === "…" || examples?.test(line) === true) return false;
    const pattern = new RegExp(`^${wanted.split("…").map(RegExp.escape).join(".*")}$`);
    return !seen.some((each) => pattern.test(each));
  });
}

/** Without colours, numbers and runs of spaces. */
function simplify(line: string): string {
  return Bun.stripANSI(line).replaceAll(/\d+/g, "0").replaceAll(/\s+/g, " ").trim();
}

/** Lines that belong together are one: after a backslash, and up to the end of a here-document. */
function joinLines(lines: readonly string[], isConsole: boolean): { at: number; line: string; shown: string[] }[] {
  const joined: { at: number; line: string; shown: string[] }[] = [];
  let goesOn = (_line: string): boolean => false;
  for (const [at, line] of lines.entries()) {
    const last = joined.at(-1);
    if (last !== undefined && goesOn(last.line)) {
      last.line += `\n${line}`;
      continue;
    }
    const command = isConsole ? /^\$ (.*)$/.exec(line)?.[1] : line.trim();
    if (isConsole && command === undefined) last?.shown.push(line);
    if (command === undefined || command === "" || command.startsWith("#")) continue;
    joined.push({ at, line: command, shown: [] });
    const mark = /<<-?\s*'?(\w+)'?/.exec(command)?.[1];
    goesOn = mark === undefined ? (text) => text.endsWith("\\") : (text) => !text.endsWith(`\n${mark}`);
  }
  return joined;
}
