import { lstat, readdir } from "node:fs/promises";
import { resolve } from "node:path";

import { readErrorCode } from "../error-code.ts";
import { CONFIG_VARIABLE } from "./overrides.ts";
import type { Checked } from "./problem.ts";
import { configFileNames } from "./read-config-file.ts";
import { describeReadError } from "./read-file.ts";
import { isNear } from "./suggest.ts";

export interface FindOptions {
  /** The working folder, absolute. */
  readonly folder: string;
  /** The file to read, as given by `--config`. */
  readonly file?: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** The file, absolute; or none, and the names in the folder that look like one. */
export type FoundConfig = { readonly file: string } | { readonly file?: never; readonly similar: readonly string[] };

/** Finds the file that `--config` names, or the one in the folder, also when it cannot be read. */
export async function findConfigFile({ folder, file, variables }: FindOptions): Promise<Checked<FoundConfig>> {
  const named = file ?? variables[CONFIG_VARIABLE];
  if (named !== undefined) {
    const origin = file === undefined ? CONFIG_VARIABLE : "--config";
    if (named === "") return refuse("Found an empty text. Write the path of a file.", origin);
    const path = resolve(folder, named);
    const fault = await findFault(path);
    return fault === undefined
      ? { ok: true, value: { file: path } }
      : refuse(`Cannot read ${path}: ${describeReadError(fault.error)}.`, origin);
  }
  const present: string[] = [];
  for (const name of configFileNames) {
    const fault = await findFault(resolve(folder, name));
    if (fault === undefined) present.push(name);
    // Any other fault may hide a configuration.
    else if (!fault.missing)
      return refuse(`Cannot look for a configuration file in ${folder}: ${describeReadError(fault.error)}.`);
  }
  const [first, second] = present;
  if (second !== undefined)
    return refuse(`Found ${present.join(" and ")} in ${folder}. Keep one of them, or choose with --config.`);
  if (first !== undefined) return { ok: true, value: { file: resolve(folder, first) } };
  return { ok: true, value: { similar: await findSimilar(folder) } };
}

/** Why there is no such file. A link without a target is a file. */
async function findFault(path: string): Promise<{ error: unknown; missing: boolean } | undefined> {
  try {
    await lstat(path);
    return undefined;
  } catch (error) {
    const code = readErrorCode(error);
    return { error, missing: code === "ENOENT" || code === "ENOTDIR" };
  }
}

/** Names that look like a configuration file: other endings, other cases, other words. */
const similarName =
  /^\.?(?:(?:proxy|penstock)(?:[._-]?(?:config|conf|cfg|proxy))?|config[._-](?:proxy|penstock))\.(?:[cm]?[jt]s|jsonc?|json5|ya?ml|to?ml|conf|cfg|ini)(?:\.(?:txt|ya?ml|json|toml))?$/i;

function isSimilar(name: string): boolean {
  return similarName.test(name) || configFileNames.some((wanted) => isNear(name, wanted, 2));
}

async function findSimilar(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names.filter(isSimilar).toSorted();
  } catch {
    return [];
  }
}

function refuse(message: string, origin?: string): Checked<never> {
  return { ok: false, problems: [{ path: [], message, ...(origin !== undefined && { origin }) }] };
}
