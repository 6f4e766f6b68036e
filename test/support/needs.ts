import { test } from "bun:test";
import { findProgram } from "./program.ts";

type Body = () => Promise<void>;

/** Registers a test with its name, and the milliseconds it may take where that is long. */
type Register = (name: string, body: Body, ms?: number) => void;

/** Milliseconds for a test with programs in it: they start slowly on a busy machine. */
const PROGRAM_MS = 180_000;
/** Further tries: what other people's programs do under load is not ours to mend. Tests of our own code alone have none. */
const PROGRAM_RETRIES = 2;

/** Python of the distribution: it is the one that the distribution's modules are for. */
export const python = "/usr/bin/python3";

/**
 * Gives the `test` function of tests that need these programs. Where one is
 * missing the test is reported as skipped with the program's name, or fails
 * with `CI=true`: there everything has to be installed. `python3-NAME` stands
 * for a module of the distribution's Python.
 */
export function needs(...programs: readonly string[]): Register {
  const missing = programs.filter((name) => !isInstalled(name));
  if (missing.length === 0)
    return (name, body, ms = PROGRAM_MS) => test(name, body, { timeout: ms, retry: PROGRAM_RETRIES });
  return leaveOut(`not installed: ${missing.join(", ")}`);
}

/** Gives the `test` function of tests that give files away, which only root may. For others they are skipped, or fail with `CI=true`. */
export function needsRoot(): Register {
  if (process.geteuid?.() !== 0) return leaveOut("needs root");
  return (name, body, ms) => test(name, body, ms);
}

function leaveOut(reason: string): Register {
  if (process.env["CI"] === "true")
    return (name) =>
      test(name, () => {
        throw new Error(reason);
      });
  return (name, body) => test.skip(`${name} (${reason})`, body);
}

const known = new Map<string, boolean>();

/** Whether a program, or `python3-NAME` a module of Python, is there. */
export function isInstalled(name: string): boolean {
  const before = known.get(name);
  if (before !== undefined) return before;
  const installed = look(name);
  known.set(name, installed);
  return installed;
}

function look(name: string): boolean {
  if (name === "python3") return findProgram(python) !== undefined;
  if (!name.startsWith("python3-")) return findProgram(name) !== undefined;
  if (findProgram(python) === undefined) return false;
  const module = name.slice("python3-".length);
  return Bun.spawnSync([python, "-c", `import ${module}`], { stderr: "ignore" }).exitCode === 0;
}
