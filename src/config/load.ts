import { dirname, resolve } from "node:path";

import { findPacFault } from "../pac/pac-files.ts";
import { readListCopy } from "../lists/list-copies.ts";
import { checkInSteps } from "./check.ts";
import { type CompiledConfig, compileInSteps, findMaterialProblems } from "./compile.ts";
import { completeVariables, findConfigFile, type FindOptions, type FoundConfig } from "./find-config-file.ts";
import { gatherMaterials, listNamedFiles, listVariables, type NamedFile } from "./gather-materials.ts";
import type { Materials } from "./materials.ts";
import { applyOverrides, attachOrigins, type Flags } from "./overrides.ts";
import { attachPlaces } from "./places.ts";
import { isRecord, type PlainData, withoutRefused } from "./plain-data.ts";
import type { Checked, Problem } from "./problem.ts";
import type { ScriptModules } from "./script-modules.ts";
import { readConfigFile, type Texts } from "./read-config-file.ts";
import { findExpiredRules } from "./when-schema.ts";
import { readSettledFile } from "./file-changes.ts";
import { readTextFile } from "./read-file.ts";
import { run } from "../steps.ts";

/** Where a configuration is looked for, and what overrides it. */
export interface LoadOptions extends FindOptions {
  readonly flags: Flags;
  /** Whether standard output is a terminal. */
  readonly terminal: boolean;
  /** Milliseconds that a file in TypeScript or JavaScript gets to be imported. Default: 10,000. */
  readonly importMs?: number;
  /** The name in `Via` where the configuration sets none: the same at each reload, so that loops are seen. A new one when absent. */
  readonly ownName?: string;
  /** Gives everything else its turn, between slices of the work; without it all is done at once. */
  readonly turn?: () => Promise<void>;
  /** The modules that are to be read afresh at the next load. */
  readonly modules?: ScriptModules;
  /** The text of a list that is in use. */
  readonly findList?: (key: string) => string | undefined;
  /** Report lists that cannot be used even where their last good text is kept. */
  readonly strictLists?: boolean;
  /** Says what is wrong with the files that it depends on, by settings and absolute paths; the first is the configuration. */
  readonly judgeFiles?: (files: readonly NamedFile[]) => readonly Problem[];
  /** What this load is to replace. A file that is gone or sets nothing any more does not bring back the defaults. */
  readonly inUse?: Pick<LoadedConfig, "file" | "setsNothing">;
}

export interface LoadedConfig {
  readonly compiled: CompiledConfig;
  /** The file, absolute; undefined when there is none and the defaults hold. */
  readonly file?: string;
  /** The file has no setting, or there is none. */
  readonly setsNothing?: true;
}

/** The result of loading. `file` is known even when it cannot be used. */
export type LoadResult = Checked<LoadedConfig> & {
  readonly file?: string;
  /** It is that of the system folder, since the working folder has none. */
  readonly isSystem?: true;
  /** Every file that it depends on, absolute, whether it could be read or not. */
  readonly files: readonly string[];
  /** Warnings for the operator. */
  readonly warnings: readonly Problem[];
  /** Texts of the files that places are in. */
  readonly texts?: Texts;
};

/**
 * Finds and reads the configuration file, overrides it by environment and flags,
 * and compiles it; or reports everything that is wrong at once.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  const { folder, flags, terminal } = options;
  const found = await findConfigFile(options);
  if (!found.ok) return { ...found, warnings: [], files: [] };
  const { file, isSystem } = found.value;
  if (file === undefined && options.inUse?.file !== undefined) return tellGone(options.inUse.file);
  const variables = completeVariables(options, file);
  const similar = warnOfSeen(found.value);
  const named = file === undefined ? {} : { file, ...(isSystem && { isSystem }) };
  const read = file === undefined ? emptyConfig : await readConfigFile(file, options);
  const scripts = [...(file === undefined ? [] : [file]), ...(options.modules?.files ?? [])];
  if (!read.ok) return { ...read, warnings: similar, files: scripts, ...named };
  const { value, problems: refused, source } = read.value;
  const { texts } = read;
  const setsNothing = isRecord(value) && Object.keys(value).length === 0 && refused.length === 0;
  const { inUse } = options;
  if (file !== undefined && setsNothing && inUse !== undefined && inUse.setsNothing !== true)
    return tellEmpty(file, scripts);
  const over = applyOverrides(value, variables, flags, folder, listVariables(value));
  const home = file === undefined ? folder : dirname(file);
  const references: string[] = [];
  const { materials, problems: missing } = await gatherMaterials(
    over.raw,
    { folder: home, variables, terminal, now: Date.now(), findLastList: findLastList(options) },
    (path, kind) => {
      const absolute = resolve(home, path);
      // Lists are followed by themselves, without a reload.
      if (kind === "list") return readSettledFile(absolute, kind);
      references.push(absolute);
      return readTextFile(absolute, kind);
    },
  );
  const checked = await run(checkInSteps(over.raw), options.turn);
  const compiled: Checked<CompiledConfig> = checked.ok
    ? await run(compileInSteps(checked.value, materials, options.ownName), options.turn)
    : { ok: false, problems: [...checked.problems, ...findMaterialProblems(checked.parts, materials)] };
  const pacProblems = compiled.ok ? await findPacProblems(compiled.value.pacs) : [];
  const complete = (list: readonly Problem[]) => attachPlaces(attachOrigins(list, over), source);
  const unusable = options.judgeFiles?.(listFiles(over.raw, scripts, home)) ?? [];
  const faults = [...(compiled.ok ? [] : compiled.problems), ...pacProblems, ...missing, ...unusable];
  const problems = [...over.problems, ...complete([...refused, ...withoutRefused(faults, refused)])];
  const told = compiled.ok
    ? [...compiled.value.warnings, ...findExpiredRules(compiled.value.runtime.policy, Date.now())]
    : [];
  const warnings = [...similar, ...over.warnings, ...complete(told)];
  const files = [...new Set([...scripts, ...references])];
  if (!compiled.ok || problems.length > 0)
    return { ok: false, problems, warnings, files, ...named, ...(texts && { texts }) };
  return {
    ok: true,
    value: { compiled: compiled.value, ...(setsNothing && { setsNothing }), ...(file !== undefined && { file }) },
    warnings,
    files,
    ...named,
  };
}

/** Finds the last good text of a list: the one in use, or the one in the state folder. */
function findLastList({ findList, strictLists }: LoadOptions): NonNullable<Materials["findLastList"]> {
  return (key, state) =>
    findList?.(key) ??
    (state === undefined || (strictLists === true && key.startsWith("file ")) ? undefined : readListCopy(state, key));
}

/** The files of a configuration, the modules that it is made of first. */
function listFiles(raw: unknown, scripts: readonly string[], home: string): NamedFile[] {
  const modules = scripts.map((name): NamedFile => ({ path: [], kind: "config", name }));
  return [...modules, ...listNamedFiles(raw).map((each) => ({ ...each, name: resolve(home, each.name) }))];
}

/** An editor or a deployment may be about to write it. */
function tellGone(file: string): LoadResult {
  const message = `There is no ${file} any more. Put it back, or restart to run with the defaults.`;
  return { ok: false, problems: [{ path: [], message }], warnings: [], files: [file] };
}

function tellEmpty(file: string, files: readonly string[]): LoadResult {
  const message = `${file} sets nothing any more. Write its settings, or restart to run with the defaults.`;
  return { ok: false, problems: [{ path: [], message }], warnings: [], files, file };
}

/** Runs the PAC files that are files, once, in their sandbox. */
async function findPacProblems(sources: CompiledConfig["pacs"]): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const { name, at } of sources) {
    // A file that is missing is reported already.
    const fault = at.kind === "file" && at.text !== "" ? await findPacFault(at.text) : undefined;
    if (fault !== undefined)
      problems.push({ path: ["upstreams", name, "pac"], message: `Cannot use this PAC file: it ${fault}.` });
  }
  return problems;
}

const emptyConfig: Checked<PlainData & { source?: never }> & { texts?: never } = {
  ok: true,
  value: { value: {}, problems: [] },
};

function warnOfSeen({ similar = [], unseen }: FoundConfig): Problem[] {
  const warnings = similar.map((name) => {
    const ending = /(json|ya?ml|toml)/i.exec(name)?.[1]?.toLowerCase();
    return {
      path: [],
      message: `${name} looks like a configuration file, and is not read. Name it proxy.config.${ending ?? "ts"}, or read it with --config.`,
    };
  });
  if (unseen === undefined) return warnings;
  return [...warnings, { path: [], message: `${unseen} Run this as root if that of the service is meant.` }];
}
