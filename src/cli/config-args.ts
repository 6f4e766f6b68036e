import type { ArgsDef } from "citty";

import { type LoadResult, loadConfig } from "../config/load.ts";
import type { Flags } from "../config/overrides.ts";
import { formatProblem } from "../config/problem.ts";
import type { CommandInput } from "./command.ts";
import type { CliIo } from "./io.ts";

/** The flags of every command that reads a configuration. */
export const configArgs = {
  config: {
    type: "string",
    valueHint: "FILE",
    description:
      "Configuration file. Default: proxy.config.ts, .js, .json, .yaml or .toml in the working folder, if there is one.",
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

/** Those of `configArgs` that may be repeated. */
export const configLists = ["listen", "user"];

/** Loads the configuration that the flags ask for. */
export function loadFromFlags({ value, values, io }: CommandInput): Promise<LoadResult> {
  const file = value("config");
  const upstream = value("upstream");
  const sidecar = value("sidecar");
  const flags: Flags = {
    listen: values("listen"),
    user: values("user"),
    ...(upstream !== undefined && { upstream }),
    ...(sidecar !== undefined && { sidecar }),
  };
  return loadConfig({
    folder: io.folder,
    flags,
    variables: io.variables,
    terminal: io.terminal,
    ...(file !== undefined && { file }),
  });
}

/** Tells everything that is wrong with a configuration. */
export function tellProblems(result: LoadResult & { ok: false }, io: CliIo): void {
  io.tell(`Cannot use ${result.file ?? "the configuration"}:`);
  for (const problem of result.problems) io.tell(`  ${formatProblem(problem)}`);
}
