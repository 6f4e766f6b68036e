import type { Command } from "./command.ts";
import { listArgumentTexts, listFlagTexts, takeSummary, wrapText, writeFlag, writeUsage } from "./command-text.ts";
import { environmentFacts, exitCodeFacts, fileFacts, jsonFact, signalFacts, summary } from "./program-facts.ts";
import { version } from "../version.ts";

/** The page penstock(1), in the macros of man(7). */
export function writeManPage(commands: readonly Command[]): string {
  const lines = [
    `.\\" Made by "penstock man".`,
    `.TH PENSTOCK 1 "" "penstock ${version}" "User Commands"`,
    ".SH NAME",
    String.raw`penstock \- forward proxy with CONNECT tunnels, upstream chaining and rules`,
    ".SH SYNOPSIS",
    ".B penstock",
    `[${italic("COMMAND")}] [${italic("OPTIONS")}]`,
    ".SH DESCRIPTION",
    ...writeText(summary),
    ".SH COMMANDS",
    ...commands.flatMap(describeCommand),
    ".SH OPTIONS OF EVERY COMMAND",
    ...listFlagTexts(firstOf(commands, "check"))
      .filter(({ name }) => shared.has(name))
      .flatMap((flag) => listItem(writeFlag(flag), flag.says)),
    ".PP",
    ...writeText(jsonFact),
    ".SH SIGNALS",
    "These are for a running proxy.",
    ...signalFacts.flatMap(([name, says]) => listItem(name, says)),
    ".SH EXIT STATUS",
    ...exitCodeFacts.flatMap(([name, says]) => listItem(name, says)),
    ".SH FILES",
    ...fileFacts.flatMap(([name, says]) => listItem(name, says)),
    ".SH ENVIRONMENT",
    ...environmentFacts.flatMap(([name, says]) => listItem(name, says)),
    ".SH EXAMPLES",
    ...commands
      .flatMap(({ examples }) => examples)
      .flatMap(([line, says], at) => [
        ...(at === 0 ? [] : [".PP"]),
        ...writeText(says),
        ".PP",
        ".RS 4",
        ".nf",
        escapeRoff(line),
        ".fi",
        ".RE",
      ]),
    ".SH SEE ALSO",
    ".BR curl (1),",
    ".BR systemctl (1)",
  ];
  return `${lines.join("\n")}\n`;
}

/** Flags that are told once for all commands. */
const shared: ReadonlySet<string> = new Set(["help", "quiet", "verbose"]);

function firstOf(commands: readonly Command[], name: string): Command {
  const found = commands.find((command) => command.name === name) ?? commands[0];
  if (found === undefined) throw new Error("There are no commands");
  return found;
}

function describeCommand(command: Command): string[] {
  const own = (name: string): boolean => !shared.has(name) || command.name === "serve";
  return [
    `.SS ${command.name}`,
    `.B ${escapeRoff(writeUsage(command))}`,
    ".PP",
    ...writeText(command.description),
    ...listArgumentTexts(command).flatMap(({ name, says }) => listItem(name, says)),
    ...listFlagTexts(command)
      .filter(({ name }) => own(name) && name !== "help")
      .flatMap((flag) => listItem(writeFlag(flag).trimStart(), flag.says)),
  ];
}

function listItem(name: string, says: string): string[] {
  return [".TP", `.B ${escapeRoff(name)}`, ...writeText(says)];
}

/** Bytes of a line, of which escapes take some. */
const LINE_WIDTH = 66;

function writeText(text: string): string[] {
  return wrapText(text, LINE_WIDTH).map(escapeRoff);
}

function italic(text: string): string {
  return String.raw`\fI${text}\fR`;
}

/** A line of text as it is: a hyphen is one that can be copied, and nothing at its beginning is a request. */
function escapeRoff(text: string): string {
  const escaped = text
    .trimStart()
    .replaceAll("\\", String.raw`\e`)
    .replaceAll("-", String.raw`\-`)
    .replaceAll('"', String.raw`\(dq`)
    .replaceAll("'", String.raw`\(aq`)
    .replaceAll("…", "...")
    .replaceAll("→", String.raw`\(->`);
  return /^[.']/.test(escaped) ? String.raw`\&${escaped}` : escaped;
}

/** The same for docs/cli.md. */
export function writeCommandReference(commands: readonly Command[]): string {
  const list = (facts: readonly (readonly [string, string])[]) =>
    facts.map(([name, says]) => `- \`${name}\`: ${escapeMarkdown(says)}`);
  const lines = [
    "# Commands",
    "",
    "Written by `bun run docs` from the commands themselves. `penstock COMMAND --help` says the same for the terminal, `penstock man | man -l -` as a page.",
    "",
    escapeMarkdown(summary),
    "",
    ...commands.map(({ name, description }) => `- [${name}](#${name}): ${escapeMarkdown(takeSummary(description))}`),
    ...commands.flatMap((command) => [
      "",
      `## ${command.name}`,
      "",
      escapeMarkdown(command.description),
      "",
      "```",
      writeUsage(command),
      "```",
      ...writeParts(command),
      ...writeExamples(command),
    ]),
    "",
    "## Messages and JSON",
    "",
    escapeMarkdown(jsonFact),
    "",
    "These commands have no `--json`:",
    "",
    ...commands
      .filter(({ withoutJson }) => withoutJson !== "")
      .map(({ name, withoutJson }) => `- ${name}: ${escapeMarkdown(withoutJson)}`),
    "",
    "## Exit codes",
    "",
    ...list(exitCodeFacts),
    "",
    "## Signals",
    "",
    ...list(signalFacts),
    "",
    "## Files",
    "",
    ...list(fileFacts),
    "",
    "## Environment",
    "",
    ...list(environmentFacts),
  ];
  return `${lines.join("\n")}\n`;
}

function writeParts(command: Command): string[] {
  const rows = [
    ...listArgumentTexts(command).map(({ name, says }) => `- \`${name}\`: ${escapeMarkdown(says)}`),
    ...listFlagTexts(command)
      .filter(({ name }) => !shared.has(name) || command.name === "serve")
      .map((flag) => `- \`${writeFlag(flag).trimStart()}\`: ${escapeMarkdown(flag.says)}`),
  ];
  return rows.length === 0 ? [] : ["", ...rows];
}

function writeExamples({ examples }: Command): string[] {
  return examples.flatMap(([line, says]) => ["", escapeMarkdown(says), "", "```sh", line, "```"]);
}

function escapeMarkdown(text: string): string {
  return text.replaceAll(/[\\*_<[\]]/g, String.raw`\$&`);
}
