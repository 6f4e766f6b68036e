import type { ArgsDef } from "citty";
import type { CliIo } from "./io.ts";

/** What a command gets: its checked arguments and its environment. */
export interface CommandInput {
  /** The value of a flag or of a positional argument; undefined when it is not there. */
  readonly value: (name: string) => string | undefined;
  /** Whether a flag without a value is there. */
  readonly has: (name: string) => boolean;
  /** The values of a flag, or of the last positional argument, that may be repeated. */
  readonly values: (name: string) => readonly string[];
  readonly io: CliIo;
}

/** Advice for flags that other programs have, by their name without hyphens. `value` is a number that follows. */
export type Hints = Readonly<Record<string, (value: string | undefined) => string>>;

/** A command line that can be run as it is written, and what it does. */
type Example = readonly [line: string, says: string];

interface CommandParts {
  readonly name: string;
  readonly description: string;
  readonly args?: ArgsDef;
  /** Flags that may be repeated, and the last positional argument where it may. */
  readonly lists?: readonly string[];
  readonly hints?: Hints;
  /** For the help, the man page and docs/cli.md. */
  readonly examples?: readonly Example[];
  /** Why there is no `--json`. Every other command has it. */
  readonly withoutJson?: string;
  /** It runs until it is told to stop: its messages are told at once with `--json`, too. */
  readonly follows?: boolean;
  /** Not listed: for scripts, and no promise to anybody. */
  readonly hidden?: boolean;
  /** Gives the exit code. */
  readonly run: (input: CommandInput) => number | Promise<number>;
}

/** A command: how it is written, what its help says, and what it does. */
export type Command = Required<CommandParts>;

/** Commands that belong together, by name, under a title. */
export interface CommandGroup {
  readonly title: string;
  readonly commands: Readonly<Record<string, Command>>;
}

/** The flags of every command about its messages. A command that declares them itself acts on them, too. */
export const messageArgs = {
  quiet: {
    type: "boolean",
    alias: "q",
    description: "Print results only. Messages are told when the command fails.",
  },
  verbose: {
    type: "boolean",
    alias: "v",
    description: "Also tell which configuration file is read, and which sidecar is asked.",
  },
} as const satisfies ArgsDef;

/** Makes a command of its parts. Every command knows `--help`, `--quiet` and `--verbose`. */
export function createCommand(parts: CommandParts): Command {
  return {
    lists: [],
    examples: [],
    withoutJson: "",
    follows: false,
    hidden: false,
    ...parts,
    hints: {
      ...(parts.withoutJson !== undefined && { json: () => `There is no JSON: ${parts.withoutJson ?? ""}` }),
      ...parts.hints,
    },
    args: {
      ...parts.args,
      quiet: parts.args?.["quiet"] ?? messageArgs.quiet,
      verbose: parts.args?.["verbose"] ?? messageArgs.verbose,
      help: { type: "boolean", alias: "h", description: "Show this help." },
    },
  };
}
