import { extname } from "node:path";

import type { LoadResult } from "../config/load.ts";
import { readPlace } from "../config/places.ts";
import { formatProblem, type Problem } from "../config/problem.ts";
import { listSettingNames, type SettingNames } from "../config/setting-names.ts";
import { type Notation, showLine } from "../config/show-line.ts";

/** Problems that are printed. A long list can have as many problems as entries. */
const MAX_TOLD = 200;
/** Problems whose lines are shown. */
const MAX_SHOWN = 40;

type Failed = LoadResult & { ok: false };

/** The problems of a configuration, one a line. */
export function listProblems({ problems }: Failed): string[] {
  const rest = problems.length - MAX_TOLD;
  return [...problems.slice(0, MAX_TOLD).map(formatProblem), ...(rest > 0 ? [`and ${rest} more.`] : [])];
}

/** The same, with the line of the file below each. */
export function showProblems(failed: Failed): string[] {
  const { problems, texts = new Map<string, string>() } = failed;
  const names = texts.size > 0 ? listSettingNames() : undefined;
  return listProblems(failed).flatMap((line, at) => {
    const problem = at < MAX_SHOWN ? problems[at] : undefined;
    const shown = problem && names && showPlace(problem, texts, names);
    return [line, ...(shown ?? []).map((each) => `  ${each}`)];
  });
}

function showPlace({ place, path, message }: Problem, texts: ReadonlyMap<string, string>, names: SettingNames) {
  if (place === undefined) return undefined;
  const { file, line, column } = readPlace(place);
  const text = texts.get(file);
  if (text === undefined || line === undefined || column === undefined) return undefined;
  return showLine(text, chooseNotation(file), { line, column, path, message }, names);
}

function chooseNotation(file: string): Notation {
  const ending = extname(file);
  return ending === ".toml" ? "toml" : ending === ".yaml" || ending === ".yml" ? "yaml" : "script";
}
