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

interface CommandParts {
  readonly name: string;
  readonly description: string;
  readonly args?: ArgsDef;
  /** Flags that may be repeated, and the last positional argument where it may. */
  readonly lists?: readonly string[];
  readonly hints?: Hints;
  /** Gives the exit code. */
  readonly run: (input: CommandInput) => number | Promise<number>;
}

/** A command: how it is written, what its help says, and what it does. */
export type Command = Required<CommandParts>;

/** Makes a command of its parts. Every command knows `--help`. */
export function createCommand(parts: CommandParts): Command {
  return {
    lists: [],
    hints: {},
    ...parts,
    args: { ...parts.args, help: { type: "boolean", alias: "h", description: "Show this help." } },
  };
}
