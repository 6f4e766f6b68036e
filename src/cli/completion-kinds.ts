import type { Command } from "./command.ts";
import { listFlagTexts } from "./command-text.ts";

/** Values that only a configuration or a running proxy knows. */
export const VALUE_KINDS = [
  "user",
  "rule",
  "route",
  "upstream",
  "member",
  "tunnel",
  "host",
  "client",
  "listener",
  "event",
  "word",
] as const;
export type ValueKind = (typeof VALUE_KINDS)[number];

/** What may stand in a place of the command line. */
export type Completion =
  | { readonly kind: "nothing" | "files" | "folders" }
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "values"; readonly of: ValueKind };

/** What is meant by the name of a value. */
const named: Readonly<Record<string, Completion>> = {
  FILE: { kind: "files" },
  PATH: { kind: "files" },
  FOLDER: { kind: "folders" },
  DIR: { kind: "folders" },
  USER: { kind: "values", of: "user" },
  RULE: { kind: "values", of: "rule" },
  ROUTE: { kind: "values", of: "route" },
  UPSTREAM: { kind: "values", of: "upstream" },
  "UPSTREAM|URL": { kind: "values", of: "upstream" },
  "UPSTREAM/MEMBER": { kind: "values", of: "member" },
  ID: { kind: "values", of: "tunnel" },
  HOST: { kind: "values", of: "host" },
  TARGET: { kind: "values", of: "host" },
  IP: { kind: "values", of: "client" },
  LISTENER: { kind: "values", of: "listener" },
  "TYPE,…": { kind: "values", of: "event" },
  WORD: { kind: "values", of: "word" },
};

/** Arguments that are only called NAME. */
const namesOf: Readonly<Record<string, Completion>> = {
  passwd: { kind: "values", of: "user" },
  upstreams: { kind: "values", of: "upstream" },
};

/** A flag, and what may follow it; undefined for one without a value. */
export interface CompletedFlag {
  readonly written: string;
  readonly says: string;
  readonly isRepeated: boolean;
  readonly value: Completion | undefined;
}

/** Every flag in its long form, and in its short one where it has one. */
export function listCompletedFlags(command: Command): CompletedFlag[] {
  return listFlagTexts(command).flatMap(({ name, letter, value, says, isRepeated }) => {
    const flag = { says, isRepeated, value: value === undefined ? undefined : findCompletion(value) };
    const short = letter === undefined ? [] : [{ ...flag, written: `-${letter}` }];
    return [{ ...flag, written: `--${name}` }, ...short];
  });
}

/** A positional argument, and what may stand there. */
interface CompletedArgument {
  readonly name: string;
  readonly value: Completion;
  readonly isRepeated: boolean;
}

export function listCompletedArguments({ name: command, args, lists }: Command): CompletedArgument[] {
  return Object.entries(args)
    .filter(([, arg]) => arg.type === "positional")
    .map(([name, arg]) => {
      const shown = arg.valueHint ?? name.toUpperCase();
      const own = shown === "NAME" ? namesOf[command] : undefined;
      return { name: shown, value: own ?? findCompletion(shown), isRepeated: lists.includes(name) };
    });
}

function findCompletion(value: string): Completion {
  const known = Object.hasOwn(named, value) ? named[value] : undefined;
  if (known !== undefined) return known;
  // Alternatives are written in small letters; in capitals they are kinds of value.
  if (/^[a-z\d.-]+(?:\|[a-z\d.-]+)+$/.test(value)) return { kind: "words", words: value.split("|") };
  return { kind: value.split("|").includes("FILE") ? "files" : "nothing" };
}
