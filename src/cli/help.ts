import type { Command, CommandGroup } from "./command.ts";
import { listArgumentTexts, listFlagTexts, takeSummary, wrapText, writeFlag, writeUsage } from "./command-text.ts";
import type { CliIo } from "./io.ts";
import { exitCodeFacts, summary } from "./program-facts.ts";
import { createPaint, type Paint, wantsColour } from "./style.ts";

const DEFAULT_WIDTH = 80;
/** Less has no room for a name beside its text. */
const MIN_WIDTH = 30;
/** Columns of the names; a longer one has its text below it. */
const NAME_WIDTH = 26;
const INDENT = 2;
const GAP = 2;

interface Page {
  readonly width: number;
  readonly paint: Paint;
}

/** The help of a command, or of the whole program, for the terminal. */
export function writeHelp(command: Command | undefined, groups: readonly CommandGroup[], io: CliIo): string {
  const page = { width: findWidth(io), paint: createPaint(wantsColour(io)) };
  const lines = command === undefined ? describeProgram(groups, page) : describeCommand(command, page);
  return `${lines.join("\n")}\n`;
}

function findWidth({ columns, variables }: Pick<CliIo, "columns" | "variables">): number {
  const written = variables["COLUMNS"] ?? "";
  const width = /^[1-9][0-9]{0,3}$/.test(written) ? Number(written) : columns;
  return width === undefined || width <= 0 ? DEFAULT_WIDTH : Math.max(width, MIN_WIDTH);
}

function describeProgram(groups: readonly CommandGroup[], page: Page): string[] {
  const { paint, width } = page;
  const lines = [...wrapText(summary, width), "", `${paint("USAGE", "bold")} penstock [COMMAND] [OPTIONS]`];
  for (const { title, commands } of groups) {
    const rows = Object.values(commands)
      .filter(({ hidden }) => !hidden)
      .map(({ name, description }): Row => [name, takeSummary(description)]);
    if (rows.length > 0) lines.push("", paint(title.toUpperCase(), "bold"), "", ...layOut(rows, page));
  }
  lines.push("", paint("EXIT CODES", "bold"), "", ...layOut(exitCodeFacts, page));
  lines.push("", ...wrapText('"penstock COMMAND --help" says more about a command, "penstock man" all of it.', width));
  return lines;
}

function describeCommand(command: Command, page: Page): string[] {
  const { paint, width } = page;
  const lines = [
    ...wrapText(command.description, width),
    "",
    ...hang(`${paint("USAGE", "bold")} ${writeUsage(command)}`, width),
  ];
  const rows = listArgumentTexts(command).map(({ name, says }): Row => [name, says]);
  if (rows.length > 0) lines.push("", paint("ARGUMENTS", "bold"), "", ...layOut(rows, page));
  const flags = listFlagTexts(command).map((flag): Row => [writeFlag(flag), flag.says]);
  lines.push("", paint("OPTIONS", "bold"), "", ...layOut(flags, page));
  if (command.examples.length > 0) lines.push("", paint("EXAMPLES", "bold"));
  for (const [line, says] of command.examples)
    lines.push("", ...wrapText(says, width - INDENT).map(indent(INDENT)), indent(INDENT * 2)(paint(line, "cyan")));
  return lines;
}

/** Wraps a text whose further lines are indented. */
function hang(text: string, width: number): string[] {
  const [first = "", ...rest] = wrapText(text, width);
  return [first, ...wrapText(rest.join(" "), width - INDENT * 2).map(indent(INDENT * 2))];
}

type Row = readonly [name: string, says: string];

/** Names on the left, texts on the right, or below a name that is too long for that. */
function layOut(rows: readonly Row[], { width, paint }: Page): string[] {
  const fitting = rows.map(([name]) => name.length).filter((length) => length <= NAME_WIDTH);
  const isNarrow = width < DEFAULT_WIDTH - NAME_WIDTH;
  const left = isNarrow ? INDENT * 2 : INDENT + Math.max(0, ...fitting) + GAP;
  return rows.flatMap(([name, says]) => {
    const head = `${" ".repeat(INDENT)}${paint(name, "cyan")}`;
    const [first = "", ...rest] = wrapText(says, width - left);
    if (isNarrow || name.length > NAME_WIDTH) return [head, ...[first, ...rest].map(indent(left))];
    return [`${head}${" ".repeat(left - INDENT - name.length)}${first}`, ...rest.map(indent(left))];
  });
}

function indent(columns: number): (line: string) => string {
  return (line) => `${" ".repeat(columns)}${line}`;
}
