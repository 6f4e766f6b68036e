import type { ArgsDef } from "citty";

import { quoteValue } from "../config/problem.ts";
import { suggest } from "../config/suggest.ts";
import type { Command } from "./command.ts";

type Commands = Readonly<Record<string, Command>>;

/** The parsed command line, or what is wrong with it. `command` is undefined for the program as a whole. */
export type Invocation =
  | { readonly kind: "help"; readonly command: Command | undefined }
  | {
      readonly kind: "run";
      readonly command: Command;
      /** The values of the arguments that are there, in order; `true` for a flag without one. */
      readonly values: ReadonlyMap<string, readonly string[]>;
    }
  | { readonly kind: "wrong"; readonly command: Command | undefined; readonly message: string };

/** What runs when no command is named. */
const defaultCommand = "serve";

/**
 * Reads the command line. Refuses unknown commands (`constructor` too) and flags,
 * flags without their value, flags given twice, and arguments too many.
 */
export function readInvocation(argv: readonly string[], commands: Commands): Invocation {
  const [first = ""] = argv;
  if (first === "help" && argv.length <= 2) return readHelp(argv[1], commands);
  if (first === "--help" || first === "-h") return { kind: "help", command: undefined };
  // With other flags, -v is --verbose of "serve".
  if (first === "--version" || (first === "-v" && argv.length === 1))
    return readArguments("version", argv.slice(1), commands);
  return argv.length === 0 || first.startsWith("-")
    ? readArguments(defaultCommand, argv, commands)
    : readArguments(first, argv.slice(1), commands);
}

function readHelp(name: string | undefined, commands: Commands): Invocation {
  const command = name === undefined ? undefined : findCommand(name, commands);
  return name === undefined || command ? { kind: "help", command } : refuseCommand(name, commands);
}

/** Only own names: every object has a "constructor". */
function findCommand(name: string, commands: Commands): Command | undefined {
  return Object.hasOwn(commands, name) ? commands[name] : undefined;
}

function readArguments(name: string, argv: readonly string[], commands: Commands): Invocation {
  const command = findCommand(name, commands);
  if (!command) return refuseCommand(name, commands);
  const refuse = (message: string): Invocation => ({ kind: "wrong", command, message });
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const arg = argv[at] ?? "";
    if (arg === "--") {
      positionals.push(...argv.slice(at + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      positionals.push(arg);
      continue;
    }
    const flag = readFlag(arg, argv[at + 1], command);
    if (flag.kind === "help") return { kind: "help", command };
    if (flag.kind === "wrong") return refuse(flag.message);
    const given = values.get(flag.name) ?? [];
    if (given.length > 0 && !command.lists.includes(flag.name))
      return refuse(`Found --${flag.name} twice. Give it once.`);
    values.set(flag.name, [...given, flag.value]);
    if (flag.tookNext) at++;
  }
  const both = values.has("quiet") && values.has("verbose");
  const fault = both
    ? "Found --quiet and --verbose. Leave one of them out."
    : takePositionals(positionals, command, values);
  return fault === undefined ? { kind: "run", command, values } : refuse(fault);
}

/** Puts positional arguments under their names, or says what is wrong with them. */
function takePositionals(
  given: readonly string[],
  { name, args, lists }: Command,
  values: Map<string, string[]>,
): string | undefined {
  const wanted = Object.entries(args).filter(([, arg]) => arg.type === "positional");
  const takesMore = lists.includes(wanted.at(-1)?.[0] ?? "");
  // The argument may be a password that follows the name of its user: it is not repeated.
  if (given.length > wanted.length && !takesMore)
    return `Found an argument too many: "${name}" takes ${wanted.length === 0 ? "none" : `only ${wanted.map(([each]) => each.toUpperCase()).join(" ")}`}.`;
  const [missing, definition] = wanted[given.length] ?? [];
  if (missing !== undefined && definition?.required !== false) return `Missing ${missing.toUpperCase()}.`;
  if (given.includes("")) return "Found an empty argument.";
  for (const [at, [each]] of wanted.entries()) {
    const taken = given.slice(at, at === wanted.length - 1 ? undefined : at + 1);
    if (taken.length > 0) values.set(each, taken);
  }
  return undefined;
}

type Flag =
  | { readonly kind: "help" }
  | { readonly kind: "wrong"; readonly message: string }
  | {
      readonly kind: "value";
      readonly name: string;
      readonly value: string;
      /** Whether the value was the next argument. */
      readonly tookNext: boolean;
    };

function readFlag(arg: string, next: string | undefined, command: Command): Flag {
  const [written, inline] = splitOnce(arg);
  const known = listFlags(command.args);
  const name = written.startsWith("--") ? written.slice(2) : findAlias(command.args, written.slice(1));
  if (inline === undefined && name === "help") return { kind: "help" };
  if (name === undefined || !known.includes(name))
    return { kind: "wrong", message: explainUnknownFlag(written, inline ?? next, command) };
  if (command.args[name]?.type === "boolean")
    return inline === undefined
      ? { kind: "value", name, value: "true", tookNext: false }
      : { kind: "wrong", message: `--${name} takes no value.` };
  // A value that begins with a hyphen has to be written with "=": else a forgotten value would swallow the next flag.
  // A hyphen alone is one: by custom it means standard input or output.
  const value = inline ?? (next !== "-" && next?.startsWith("-") ? undefined : next);
  if (value === undefined || value === "")
    return {
      kind: "wrong",
      message: `--${name} needs a value, as in --${name}=${nameValue(command.args, name)}.`,
    };
  return { kind: "value", name, value, tookNext: inline === undefined };
}

/** Suggests the flag that may be meant. Of a short flag only the letter is shown: the rest may be a password. */
function explainUnknownFlag(written: string, value: string | undefined, { args, hints }: Command): string {
  const short = /^-([A-Za-z])(.*)$/s.exec(written);
  const name = short === null ? written.replace(/^--?/, "") : (short[1] ?? "");
  const port = [short?.[2], value].find((each) => each !== undefined && /^\d{1,5}$/.test(each));
  const shown = short === null ? written : `-${name}`;
  const flag = /^--?[A-Za-z][A-Za-z-]{0,30}$/.test(shown) ? `flag "${shown}"` : "flag";
  const known = listFlags(args).map((each) => `--${each}`);
  const meant = known.find((each) => each === `-${written}`);
  if (meant !== undefined) return `Unknown flag "${written}". Did you mean "${meant}"?`;
  // It is a command, not one of its flags.
  if (written === "-V" || suggest(written, ["--version"]) !== "") return `Unknown ${flag}. Did you mean "--version"?`;
  const hint = Object.hasOwn(hints, name) ? hints[name]?.(port) : undefined;
  return `Unknown ${flag}.${hint === undefined ? suggest(`--${name}`, known) : ` ${hint}`}`;
}

function splitOnce(arg: string): [string, string | undefined] {
  const equals = arg.indexOf("=");
  return equals < 0 ? [arg, undefined] : [arg.slice(0, equals), arg.slice(equals + 1)];
}

function listFlags(args: ArgsDef): string[] {
  return Object.keys(args).filter((name) => args[name]?.type !== "positional");
}

/** The flag that has a letter as its short form. */
function findAlias(args: ArgsDef, letter: string): string | undefined {
  return listFlags(args).find((name) => {
    const arg = args[name];
    return arg !== undefined && "alias" in arg && arg.alias === letter;
  });
}

function nameValue(args: ArgsDef, name: string): string {
  return args[name]?.valueHint ?? name.toUpperCase();
}

function refuseCommand(name: string, commands: Commands): Invocation {
  const hint = suggest(
    name,
    Object.keys(commands).filter((each) => commands[each]?.hidden !== true),
  );
  // It may be a URL with a password.
  const quoted = quoteValue(name);
  return {
    kind: "wrong",
    command: undefined,
    message: `Unknown command${quoted.startsWith('"') ? ` ${quoted}` : ""}.${hint === "" ? hintAtFlag(name) : hint}`,
  };
}

/** Suggests the flag that may be missing before a value. */
function hintAtFlag(text: string): string {
  if (/^\d{1,5}$/.test(text)) return ` Did you mean --listen 127.0.0.1:${text}?`;
  if (/^[\w.-]*:\d{1,5}$/.test(text)) return " Did you mean --listen HOST:PORT?";
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(text)) return " Did you mean --upstream URL?";
  return /\.(?:[cm]?[jt]s|json|ya?ml|toml|conf)$/.test(text) ? " Did you mean --config FILE?" : "";
}
