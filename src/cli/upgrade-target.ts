import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import { findConfigFile } from "../config/find-config-file.ts";
import { formatProblem } from "../config/problem.ts";
import { done, type Outcome, refuse } from "../upgrade/refusal.ts";
import type { CommandInput } from "./command.ts";
import { describeSearch } from "./config-args.ts";
import { isCompiled } from "./start-successor.ts";

/** The configuration that the new version must accept: found here, so that an older version need not find it. */
export async function findTriedFile(input: CommandInput): Promise<Outcome<string | undefined>> {
  const found = await findConfigFile(describeSearch(input));
  if (found.ok) return done(found.value.file);
  const named = input.value("config");
  if (named !== undefined) return done(named);
  // The new version would look for itself, and may be one that takes what is refused here.
  return refuse("configuration", "Cannot use the configuration.", found.problems.map(formatProblem));
}

/** The file to replace. One that runs from source has none. */
export async function findTarget({ value, io }: CommandInput): Promise<Outcome<string>> {
  const named = value("executable");
  if (named === undefined && !isCompiled(process.argv))
    return refuse("arguments", "Penstock runs from its source here. Name the file to replace with --executable PATH.");
  const path = named === undefined ? process.execPath : resolve(io.folder, named);
  try {
    return done(await realpath(path));
  } catch {
    return refuse("arguments", `--executable is ${path}, which is not there.`);
  }
}
