import type { ArgsDef } from "citty";

import type { FindOptions } from "../config/find-config-file.ts";
import { type LoadOptions, type LoadResult, loadConfig } from "../config/load.ts";
import type { Flags } from "../config/overrides.ts";
import { formatProblem } from "../config/problem.ts";
import type { CommandInput, Hints } from "./command.ts";
import type { CliIo } from "./io.ts";
import { showProblems } from "./problem-lines.ts";
import { readServiceVariables } from "./service-environment.ts";
import { showProgress } from "./progress.ts";

/** The flags of every command that reads a configuration. */
export const configArgs = {
  config: {
    type: "string",
    valueHint: "FILE",
    description:
      "Configuration file. Default: proxy.config.ts, .js, .json, .yaml or .toml in the working folder, or else in /etc/penstock.",
  },
  listen: {
    type: "string",
    valueHint: "HOST:PORT",
    description: "Address to listen on, instead of the file's. May be repeated.",
  },
  upstream: {
    type: "string",
    valueHint: "URL",
    description: 'Upstream proxy for everything that no rule sends elsewhere, or "environment".',
  },
  user: {
    type: "string",
    valueHint: "NAME:PASSWORD",
    description:
      "User, instead of the file's. May be repeated. The process list shows it: better in the file or in PENSTOCK_USERS.",
  },
  sidecar: {
    type: "string",
    valueHint: "HOST:PORT",
    description: "Address of the sidecar, or unix:PATH.",
  },
} satisfies ArgsDef;

/** The flags of `configArgs` that may be repeated. */
export const configLists = ["listen", "user"];

const listenHint = (port: string | undefined) =>
  `Did you mean --listen ${port === undefined ? "HOST:PORT" : `127.0.0.1:${port}`}?`;
const configHint = () => "Did you mean --config FILE?";
const upstreamHint = () => "Did you mean --upstream URL?";
const userHint = () => "Did you mean --user NAME:PASSWORD?";

/** Flags of other proxies, and the flags to use here. */
export const configHints: Hints = {
  ...Object.fromEntries(
    ["port", "p", "P", "host", "bind", "address", "addr", "b", "l", "L", "http-port"].map((flag) => [flag, listenHint]),
  ),
  ...Object.fromEntries(
    ["c", "C", "f", "file", "conf", "config-file", "configuration"].map((flag) => [flag, configHint]),
  ),
  ...Object.fromEntries(["proxy", "parent", "x", "r", "forward", "chain", "via"].map((flag) => [flag, upstreamHint])),
  ...Object.fromEntries(["auth", "u", "U", "username", "password", "proxy-user"].map((flag) => [flag, userHint])),
  ...Object.fromEntries(
    ["admin", "metrics", "status", "health"].map((flag) => [flag, () => "Did you mean --sidecar HOST:PORT?"]),
  ),
};

/** Where every command but `serve` looks for the configuration: where the flag or the variable says, in the working folder, in that of the service. */
export function describeSearch({ value, io }: Pick<CommandInput, "value" | "io">): FindOptions {
  const file = value("config");
  const { configFolder, isRoot } = io.machine;
  // Whoever calls sudo means their own files, too.
  const own = [0, process.geteuid?.(), Number(io.variables["SUDO_UID"])];
  return {
    folder: io.folder,
    variables: io.variables,
    serviceVariables: (found) => readServiceVariables(found, io.machine),
    ...(configFolder !== undefined && { systemFolder: configFolder }),
    ...(isRoot && { isTrusted: (owner: number) => own.includes(owner) }),
    ...(file !== undefined && { file }),
  };
}

/** What the flags override. */
function readFlags({ value, values, has }: CommandInput): Flags {
  const upstream = value("upstream");
  const sidecar = value("sidecar");
  return {
    listen: values("listen"),
    user: values("user"),
    ...(upstream !== undefined && { upstream }),
    ...(sidecar !== undefined && { sidecar }),
    ...(has("verbose") && { verbose: true }),
    ...(has("quiet") && { quiet: true }),
  };
}

/** Loads the configuration that the flags select, and prints its warnings. */
export async function loadFromFlags(
  input: CommandInput,
  reading: Pick<LoadOptions, "modules" | "inUse" | "ownName" | "turn" | "findList" | "strictLists" | "judgeFiles"> & {
    readonly terminal?: boolean;
    /** Flags that the command sets by itself. */
    readonly flags?: Flags;
    /** Where warnings go, instead of to the person. */
    readonly warn?: (warning: string) => void;
    /** Look into the working folder only, and take the defaults where it has no configuration. */
    readonly ownFolder?: true;
  } = {},
): Promise<LoadResult> {
  const { warn = (warning) => input.io.tell(`Warning: ${warning}`), flags: set, ownFolder, ...options } = reading;
  const { systemFolder: _, serviceVariables: __, isTrusted: ___, ...own } = describeSearch(input);
  // What a proxy is started with is all that it has.
  const search = ownFolder === true ? own : describeSearch(input);
  const flags = { ...readFlags(input), ...set };
  const load = (turn: Pick<LoadOptions, "turn">): Promise<LoadResult> =>
    loadConfig({ ...search, flags, terminal: input.io.terminal, ...turn, ...options });
  const loaded = await (input.io.showStatus === undefined
    ? load({})
    : // In turns, so that the terminal has its turn, too.
      showProgress(
        input.io,
        () => "Reading the configuration",
        () => load({ turn: () => Bun.sleep(0) }),
      ));
  if (loaded.isSystem) input.io.tell(`Configuration from ${loaded.file}: there is none in ${input.io.folder}.`);
  else
    input.io.note?.(
      loaded.file === undefined ? "No configuration file: the defaults hold." : `Configuration from ${loaded.file}.`,
    );
  for (const warning of loaded.warnings) warn(formatProblem(warning));
  return loaded;
}

/** Prints the problems of a configuration, each with its line. */
export function tellProblems(result: LoadResult & { ok: false }, { tell }: Pick<CliIo, "tell">): void {
  tell(`Cannot use ${result.file ?? "the configuration"}:`);
  for (const line of showProblems(result)) tell(`  ${line}`);
}
