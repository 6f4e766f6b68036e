import { relative } from "node:path";

import { attachPlaces } from "../../config/places.ts";
import { formatProblem, type Problem } from "../../config/problem.ts";
import { readConfigFile } from "../../config/read-config-file.ts";
import { type PolicyCase, readCase } from "./read-case.ts";

/** A case, and where it is written: `policy.test.yaml:3:5`. */
export interface PlacedCase {
  readonly place: string;
  readonly case: PolicyCase;
}

/** The cases of a file; or everything that is wrong with it, one sentence a line. */
export type ReadFile =
  | { readonly ok: true; readonly cases: readonly PlacedCase[] }
  | { readonly ok: false; readonly faults: readonly string[] };

/** Reads the cases of a file in YAML, JSON, TOML, TypeScript or JavaScript: a list, or a map with a list `cases`. */
export async function readTestFile(path: string, folder: string): Promise<ReadFile> {
  const read = await readConfigFile(path);
  if (!read.ok) return refuse(read.problems, path, folder);
  const { value, problems, source } = read.value;
  const isMap = typeof value === "object" && value !== null && "cases" in value;
  const list: unknown = isMap ? value.cases : value;
  const under = isMap ? ["cases"] : [];
  if (!Array.isArray(list) || list.length === 0)
    return refuse([{ path: [], message: "Found no list of cases.", place: path }], path, folder);
  const results = list.map((written: unknown, at) => ({ path: [...under, at], read: readCase(written) }));
  const faults = results.flatMap(({ path: at, read: result }): Problem[] =>
    typeof result === "string" ? [{ path: at, message: result }] : [],
  );
  if (problems.length + faults.length > 0) return refuse(attachPlaces([...problems, ...faults], source), path, folder);
  const places = attachPlaces(
    results.map((result) => ({ path: result.path, message: "" })),
    source,
  );
  const cases = results.flatMap(({ read: result }, at) =>
    typeof result === "string" ? [] : { place: shorten(places[at]?.place ?? path, path, folder), case: result },
  );
  return { ok: true, cases };
}

function refuse(problems: readonly Problem[], path: string, folder: string): ReadFile {
  const faults = problems.map((problem) => {
    const placed = problem.place === undefined ? { ...problem, place: path } : problem;
    return formatProblem({ ...placed, place: shorten(placed.place ?? path, path, folder) });
  });
  return { ok: false, faults };
}

/** A place with the path as seen from the working folder, where the file is in it. */
function shorten(place: string, path: string, folder: string): string {
  const short = relative(folder, path);
  return short.startsWith("..") ? place : place.replace(path, short);
}
