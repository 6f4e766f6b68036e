import type { ArgsDef } from "citty";
import type { Command } from "./command.ts";

// What help, man page, documentation and completions say of a command: all of
// them are made from its arguments.

/** A flag as it is written. */
export interface FlagText {
  readonly name: string;
  /** The letter of its short form. */
  readonly letter: string | undefined;
  /** What its value is called; undefined for a flag without one. */
  readonly value: string | undefined;
  readonly says: string;
  readonly isRepeated: boolean;
}

/** A positional argument as it is written. */
export interface ArgumentText {
  readonly name: string;
  readonly says: string;
  readonly isRequired: boolean;
  readonly isRepeated: boolean;
}

export function listFlagTexts({ args, lists }: Command): FlagText[] {
  return Object.entries(args)
    .filter(([, arg]) => arg.type !== "positional")
    .map(([name, arg]) => ({
      name,
      letter: readLetter(arg),
      value: arg.type === "boolean" ? undefined : (arg.valueHint ?? name.toUpperCase()),
      says: arg.description ?? "",
      isRepeated: lists.includes(name),
    }));
}

export function listArgumentTexts({ args, lists }: Command): ArgumentText[] {
  return Object.entries(args)
    .filter(([, arg]) => arg.type === "positional")
    .map(([name, arg]) => ({
      name: arg.valueHint ?? name.toUpperCase(),
      says: arg.description ?? "",
      isRequired: arg.required !== false,
      isRepeated: lists.includes(name),
    }));
}

/** How the command is written: `penstock explain [OPTIONS] TARGET`. */
export function writeUsage(command: Command): string {
  const names = listArgumentTexts(command).map(({ name, isRequired, isRepeated }) => {
    const written = `${name}${isRepeated ? "…" : ""}`;
    return isRequired ? written : `[${written}]`;
  });
  return ["penstock", command.name, "[OPTIONS]", ...names].join(" ");
}

/** A flag with all its forms: `-o, --output=FILE`. */
export function writeFlag({ name, letter, value }: FlagText): string {
  const long = `--${name}${value === undefined ? "" : `=${value}`}`;
  return letter === undefined ? `    ${long}` : `-${letter}, ${long}`;
}

/** The first sentence of a description. */
export function takeSummary(description: string): string {
  return /^.*?\.(?=\s+[A-Z?])/s.exec(description)?.[0] ?? description;
}

function readLetter(arg: ArgsDef[string]): string | undefined {
  return "alias" in arg && typeof arg.alias === "string" ? arg.alias : undefined;
}

/** Breaks a text into lines of at most `width` columns, where it has spaces. A longer word has a line of its own. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((each) => each !== "")) {
    if (line !== "" && Bun.stringWidth(line) + 1 + Bun.stringWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, line];
}
