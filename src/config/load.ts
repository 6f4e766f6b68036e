import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { checkConfig } from "./check.ts";
import { type CompiledConfig, compileConfig, findMaterialProblems } from "./compile.ts";
import { gatherMaterials, listVariables, type ReadText } from "./materials.ts";
import { applyOverrides, attachOrigins, CONFIG_VARIABLE, type Flags } from "./overrides.ts";
import type { Checked } from "./problem.ts";
import { configFileNames, readConfigFile } from "./read-config-file.ts";
import { readTextFile } from "./read-file.ts";

/** Where a configuration is looked for, and what overrides it. */
export interface LoadOptions {
  /** The working folder, absolute. */
  readonly folder: string;
  /** The file to read, as given by `--config`. */
  readonly file?: string;
  readonly flags: Flags;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Whether standard output is a terminal. */
  readonly terminal: boolean;
}

interface LoadedConfig {
  readonly compiled: CompiledConfig;
  /** The file it is from, absolute; undefined when there is none and the defaults hold. */
  readonly file?: string;
}

/** What came of loading. `file` is known even when it cannot be used. */
export type LoadResult = Checked<LoadedConfig> & { readonly file?: string };

/**
 * Finds and reads the configuration file, lays environment and flags over it,
 * and compiles it; or tells everything that is wrong, at once.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  const { folder, variables, flags, terminal } = options;
  const found = findConfigFile(options);
  if (!found.ok) return found;
  const file = found.value;
  const named = file === undefined ? {} : { file };
  const read = file === undefined ? emptyConfig : await readConfigFile(file);
  if (!read.ok) return { ...read, ...named };
  const over = applyOverrides(read.value, variables, flags, folder, listVariables(read.value));
  const home = file === undefined ? folder : dirname(file);
  const { materials, problems: missing } = await gatherMaterials(
    over.raw,
    { folder: home, variables, terminal, now: Date.now() },
    createReader(home),
  );
  const checked = checkConfig(over.raw);
  const compiled: Checked<CompiledConfig> = checked.ok
    ? compileConfig(checked.value, materials)
    : { ok: false, problems: [...checked.problems, ...findMaterialProblems(over.raw, materials)] };
  const problems = [
    ...over.problems,
    ...attachOrigins([...(compiled.ok ? [] : compiled.problems), ...missing], over.origins),
  ];
  if (!compiled.ok || problems.length > 0) return { ok: false, problems, ...named };
  return { ok: true, value: { compiled: compiled.value, ...named }, ...named };
}

const emptyConfig: Checked<unknown> = { ok: true, value: {} };

/** The file that is named, or the one that is there; undefined for none. */
function findConfigFile(options: LoadOptions): Checked<string | undefined> {
  const { folder, variables } = options;
  const named = options.file ?? variables[CONFIG_VARIABLE];
  if (named !== undefined) {
    const origin = options.file === undefined ? CONFIG_VARIABLE : "--config";
    if (named === "")
      return { ok: false, problems: [{ path: [], origin, message: "Found an empty text. Write the path of a file." }] };
    const file = resolve(folder, named);
    if (!existsSync(file))
      return {
        ok: false,
        problems: [{ path: [], origin, message: `Cannot read ${file}: there is no such file or folder.` }],
      };
    return { ok: true, value: file };
  }
  const present = configFileNames.filter((name) => existsSync(resolve(folder, name)));
  const [first, second] = present;
  if (second !== undefined)
    return {
      ok: false,
      problems: [
        {
          path: [],
          message: `Found ${present.join(" and ")} in ${folder}. Keep one of them, or choose with --config.`,
        },
      ],
    };
  return { ok: true, value: first === undefined ? undefined : resolve(folder, first) };
}

function createReader(folder: string): ReadText {
  return (path, kind) => readTextFile(resolve(folder, path), kind);
}
