import type { ArgsDef, CommandDef } from "citty";

import type { CliIo } from "./io.ts";

/**
 * A command: what citty knows of it, for help and for parsing, and what it
 * does. Flags in `lists` may be repeated, and so may the last positional argument.
 */
export interface Command {
  readonly definition: CommandDef<ArgsDef>;
  readonly args: ArgsDef;
  readonly lists: readonly string[];
  readonly hints: Hints;
}

/** What to write instead of flags that other programs have, by their name without hyphens. `value` is a number that follows. */
export type Hints = Readonly<Record<string, (value: string | undefined) => string>>;

/** What a command is given: its arguments, checked, and the world. */
export interface CommandInput {
  /** The value of a flag or of a positional argument; undefined when it is not there. */
  readonly value: (name: string) => string | undefined;
  /** Whether a flag without a value is there. */
  readonly has: (name: string) => boolean;
  /** The values of a flag, or of the last positional argument, that may be repeated. */
  readonly values: (name: string) => readonly string[];
  readonly io: CliIo;
}

interface CommandParts {
  readonly name: string;
  readonly description: string;
  readonly args?: ArgsDef;
  readonly lists?: readonly string[];
  readonly hints?: Hints;
  /** Gives the exit code. */
  readonly run: (input: CommandInput) => number | Promise<number>;
}

/** Makes a command of its parts. Every command knows `--help`. */
export function createCommand(parts: CommandParts): Command {
  const args: ArgsDef = {
    ...parts.args,
    help: { type: "boolean", alias: "h", description: "Show this help." },
  };
  return {
    args,
    lists: parts.lists ?? [],
    hints: parts.hints ?? {},
    definition: {
      meta: { name: parts.name, description: parts.description },
      args,
      run: (context) => {
        const { io, lists } = context.data as {
          io: CliIo;
          lists: ReadonlyMap<string, readonly string[]>;
        };
        return parts.run({
          io,
          value: (name) => {
            const value: unknown = context.args[name];
            return typeof value === "string" ? value : undefined;
          },
          has: (name) => context.args[name] === true,
          values: (name) => lists.get(name) ?? [],
        });
      },
    },
  };
}
