import { checkConfig } from "../../src/config/check.ts";
import { type CompiledConfig, compileConfig } from "../../src/config/compile.ts";
import type { Materials } from "../../src/config/materials.ts";
import { formatProblem } from "../../src/config/problem.ts";

/** Compiles a configuration as written that has to be right. Nothing is read: files and variables are given. */
export function compileForTest(raw: unknown, materials: Partial<Materials> = {}): CompiledConfig {
  const compiled = tryCompile(raw, materials);
  if (!compiled.ok) throw new Error(compiled.problems.map(formatProblem).join("\n"));
  return compiled.value;
}

/** The problems of a configuration that the schema accepts, as a person reads them. */
export function listCompileProblems(raw: unknown, materials: Partial<Materials> = {}): string[] {
  const compiled = tryCompile(raw, materials);
  return compiled.ok ? [] : compiled.problems.map(formatProblem);
}

function tryCompile(raw: unknown, materials: Partial<Materials>) {
  const checked = checkConfig(raw);
  if (!checked.ok) throw new Error(checked.problems.map(formatProblem).join("\n"));
  return compileConfig(checked.value, {
    files: new Map(),
    variables: {},
    folder: "/etc/penstock",
    terminal: false,
    ...materials,
  });
}
