import { lstat, readdir } from "node:fs/promises";
import { join, resolve } from "node:path";

import { readErrorCode } from "../error-code.ts";
import { CONFIG_VARIABLE } from "./overrides.ts";
import type { Checked } from "./problem.ts";
import { configFileNames } from "./read-config-file.ts";
import { describeReadError } from "./read-file.ts";
import { isNear } from "./suggest.ts";

/** Where the configuration of an installed service is. */
export const SYSTEM_FOLDER = "/etc/penstock";

export interface FindOptions {
  /** The working folder, absolute. */
  readonly folder: string;
  /** The folder to look into when the working folder has no configuration: `SYSTEM_FOLDER`, or nothing. */
  readonly systemFolder?: string;
  /** The file to read, as given by `--config`. */
  readonly file?: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Variables that a configuration has beside those: of the service that runs with it. */
  readonly serviceVariables?: (file: string) => Readonly<Record<string, string>>;
  /** Whether a file of the working folder that nobody named may be read, by the number of its owner. Default: any. */
  readonly isTrusted?: (owner: number) => boolean;
}

/** The file, absolute; or none, and what was seen instead. */
export type FoundConfig =
  | ({ readonly file: string } & Partial<Seen> & {
        /** It is that of the system folder, since the working folder has none. */
        readonly isSystem?: true;
      })
  | ({ readonly file?: never; readonly isSystem?: never } & Seen);

/** What was seen where there is no configuration. */
interface Seen {
  /** Names that look like the one of a configuration file. */
  readonly similar: readonly string[];
  /** Why nobody knows whether the system folder has one. */
  readonly unseen?: string;
}

/**
 * Finds the file that `--config` names, or the one in the working folder, or else the
 * one in the system folder, also when it cannot be read.
 */
export async function findConfigFile({
  folder,
  systemFolder,
  file,
  variables,
  isTrusted,
}: FindOptions): Promise<Checked<FoundConfig>> {
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
  const here = await lookInto(folder);
  if (!here.ok) return refuse(here.message);
  if (here.file !== undefined) {
    const { uid } = await lstat(here.file);
    if (folder !== systemFolder && isTrusted?.(uid) === false)
      return refuse(
        `${here.file} belongs to user ${uid}. Root does not read the configuration of another user, which can be a program, unless --config names it.`,
      );
    return { ok: true, value: { file: here.file } };
  }
  const similar = await findSimilar(folder);
  if (systemFolder === undefined || systemFolder === folder) return { ok: true, value: { similar } };
  const there = await lookInto(systemFolder);
  if (there.ok && there.file !== undefined) return { ok: true, value: { file: there.file, isSystem: true, similar } };
  if (there.ok) {
    const others = await findSimilar(systemFolder);
    return { ok: true, value: { similar: [...similar, ...others.map((name) => join(systemFolder, name))] } };
  }
  return there.unseen ? { ok: true, value: { similar, unseen: there.message } } : refuse(there.message);
}

/** The configuration file of a folder, if there is one; or why nobody can say which it is. `unseen`: nobody may look. */
async function lookInto(
  folder: string,
): Promise<{ ok: true; file: string | undefined } | { ok: false; message: string; unseen: boolean }> {
  const present: string[] = [];
  for (const name of configFileNames) {
    const fault = await findFault(resolve(folder, name));
    if (fault === undefined) present.push(name);
    // Any other fault may hide a configuration.
    else if (!fault.missing) {
      const message = `Cannot look for a configuration file in ${folder}: ${describeReadError(fault.error)}.`;
      return { ok: false, message, unseen: true };
    }
  }
  const [first, second] = present;
  if (second === undefined) return { ok: true, file: first === undefined ? undefined : resolve(folder, first) };
  const message = `Found ${present.join(" and ")} in ${folder}. Keep one of them, or choose with --config.`;
  return { ok: false, message, unseen: false };
}

/** The variables that hold for a configuration. */
export function completeVariables(
  { variables, serviceVariables }: FindOptions,
  file: string | undefined,
): FindOptions["variables"] {
  return file === undefined || serviceVariables === undefined ? variables : { ...serviceVariables(file), ...variables };
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
