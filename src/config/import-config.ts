import * as api from "../index.ts";
import { findPosition, formatPlace } from "./places.ts";
import type { Checked, Problem } from "./problem.ts";
import { type ScriptModules, withoutMarks } from "./script-modules.ts";
import { skipSpace, skipToken } from "./scan-script.ts";

/** Milliseconds that a file gets to be imported, and its export to settle. */
const IMPORT_MS = 10_000;

/** A file in TypeScript or JavaScript, read already. `path` is absolute. */
export interface Script {
  readonly path: string;
  readonly text: string;
}

export interface ImportOptions {
  /** Milliseconds that the file gets to be imported. Default: 10,000. */
  readonly importMs?: number;
  /** Has the file and what it imports read afresh at the next import with the same object. */
  readonly modules?: ScriptModules;
}

/** Runs a configuration file and gives what it exports, once that has settled. */
export async function importConfig(
  { path, text }: Script,
  { importMs: deadlineMs = IMPORT_MS, modules }: ImportOptions = {},
): Promise<Checked<unknown>> {
  provideApi();
  const name = modules?.begin(path) ?? path;
  let succeeded = false;
  const late = startDeadline(deadlineMs);
  const allowExit = forbidExit();
  try {
    const module = await Promise.race([import(name) as Promise<Readonly<Record<string, unknown>>>, late.over]);
    if (module === late.signal) return tellLate({ path, text }, deadlineMs);
    const exported = (module as Readonly<Record<string, unknown>>)["default"];
    // Every await takes an object with a then() for a promise.
    const settled: unknown = await Promise.race([exported, late.over]);
    if (settled === late.signal)
      return refuse(path, `The promise that the file exports did not settle within ${deadlineMs / 1000} s.`);
    succeeded = true;
    if (settled !== undefined) return { ok: true, value: settled };
    return refuse(path, 'The file exports no configuration. Write "export default defineConfig({ … })".');
  } catch (error) {
    return refuseImport({ path, text }, withoutMarks(name), error);
  } finally {
    modules?.end(succeeded);
    allowExit();
    late.cancel();
  }
}

/** Makes `import … from "penstock"` work in a configuration file with no package beside it. A second time replaces the first. */
function provideApi(): void {
  Bun.plugin({
    name: "penstock",
    setup(build) {
      build.module("penstock", () => ({
        exports: { ...api },
        loader: "object",
      }));
    },
  });
}

/** Keeps the file from ending the program without a word. The result allows it again. */
function forbidExit(): () => void {
  const before = Object.getOwnPropertyDescriptor(process, "exit");
  if (before === undefined) throw new Error("The process has no exit");
  const refuseExit = (): never => {
    throw new Error("The file ends the program with process.exit(). Throw an error that says why");
  };
  Object.defineProperty(process, "exit", { ...before, value: refuseExit });
  return () => {
    Object.defineProperty(process, "exit", before);
  };
}

/** A promise that resolves with `signal` when the time is over. */
function startDeadline(ms: number) {
  const signal = Symbol("late");
  const { promise: over, resolve } = Promise.withResolvers<symbol>();
  const timer = setTimeout(() => resolve(signal), ms);
  return { signal, over, cancel: () => clearTimeout(timer) };
}

function tellLate({ path, text }: Script, ms: number): Checked<never> {
  const waits = findAwaits(text);
  const [first] = waits;
  const late = `The file was not done after ${ms / 1000} s: it waits for`;
  if (first === undefined) return refuse(path, `${late} a file that it imports.`);
  return refuse(
    formatPlace(path, ...findPosition(text, first)),
    waits.length === 1
      ? `${late} what it awaits here, or for a file that it imports.`
      : `${late} one of the ${waits.length} things that it awaits, of which this is the first, or for a file that it imports.`,
  );
}

/** Offsets of what looks like an `await` of the file. */
function findAwaits(text: string): number[] {
  const found: number[] = [];
  for (let at = skipSpace(text, 0); at < text.length;) {
    if (/^await\b/.test(text.slice(at, at + 6))) found.push(at);
    // Go into brackets, too.
    at = skipSpace(text, "([{}])".includes(text[at] ?? "") ? at + 1 : skipToken(text, at));
  }
  return found;
}

/** The file may throw anything. The compiler throws several errors as one. `real`: where the path of the script leads. */
function refuseImport(script: Script, real: string, thrown: unknown): Checked<never> {
  const errors: readonly unknown[] = thrown instanceof AggregateError ? thrown.errors : [thrown];
  const problems = errors.map((error): Problem => ({
    path: [],
    place: findPlace({ ...script, path: real }, error).replace(real, script.path),
    message: describe(error),
  }));
  return { ok: false, problems };
}

/** Describes an error without the words of the file that the compiler quotes: one may be a password without its quotes. */
function describe(error: unknown): string {
  if (!(error instanceof Error) && !isBuildMessage(error))
    return typeof error === "string" ? finish(hideCredentials(error)) : "The file threw something that is no error.";
  const { name } = error;
  const message = withoutMarks(error.message);
  if (name === "ReferenceError") return "The file uses a name that is not defined.";
  const text = message.replace(/ \((?:evaluating|In) .*$/s, "");
  // The engine quotes the values of texts, too.
  if (name === "BuildMessage" || name === "SyntaxError" || name === "TypeError") return finish(hideQuoted(text));
  // The name of a module that is not found is in a declaration, and so no secret.
  return finish(
    hideCredentials(name === "ResolveMessage" ? text.replace(/ imported from .*$|\s+Require stack:.*$/s, "") : text),
  );
}

/** The compiler's errors are no instances of Error. */
function isBuildMessage(error: unknown): error is { name: string; message: string } {
  return typeof error === "object" && error !== null && "name" in error && "message" in error;
}

/** Leaves out quoted words, but for those of the language. */
function hideQuoted(text: string): string {
  // These are names of import declarations.
  if (text.startsWith("Export named")) return text;
  return text
    .replace(/^(Unexpected) (?!end of file$).*[\p{L}\p{N}].*$/su, "$1 word")
    .replace(/^(Invalid [\w ]+):.*$/s, "$1")
    .replace(/(["'])((?:(?!\1).)*)\1/gs, (quoted, _, inner: string) =>
      /^[^\p{L}\p{N}]{1,3}$/u.test(inner) || /^(?:class|const|default|export|import|from|of|in|as)$/.test(inner)
        ? quoted
        : '"…"',
    );
}

/** Leaves out what may be the user and the password of a URL, with or without its scheme. */
function hideCredentials(text: string): string {
  return text.replace(/[^\s"'`(]*:.*@/gs, "[redacted]@");
}

function finish(message: string): string {
  return `${message.slice(0, 500).replace(/\.$/, "")}.`;
}

/**
 * The place of an error: the compiler's position, which may be in an imported file; the import of a module that
 * is not found; else the first frame of the stack in the file, or in a file that it imports.
 */
function findPlace({ path, text }: Script, error: unknown): string {
  const details = error as {
    position?: { file?: string; line?: number; column?: number } | null;
    specifier?: unknown;
    stack?: unknown;
  } | null;
  const position = details?.position;
  if (position?.line !== undefined)
    return formatPlace(withoutMarks(position.file || path), position.line, position.column);
  if (typeof details?.specifier === "string") return placeSpecifier({ path, text }, details.specifier);
  const frames = typeof details?.stack === "string" ? withoutMarks(details.stack) : "";
  const start = frames.indexOf(`${path}:`);
  const place = /^:([0-9]+):([0-9]+)/.exec(frames.slice(start + path.length));
  if (start >= 0 && place) return formatPlace(path, Number(place[1]), Number(place[2]));
  const [, file, line, column] = /[\s(](\/[^\n:()]+):([0-9]+):([0-9]+)/.exec(frames) ?? [];
  const isImported = file !== undefined && file !== import.meta.path && !file.startsWith("/$bunfs/");
  return isImported ? formatPlace(file, Number(line), Number(column)) : path;
}

function placeSpecifier({ path, text }: Script, specifier: string): string {
  const [first] = ['"', "'", "`"].map((quote) => text.indexOf(quote + specifier + quote)).filter((at) => at >= 0);
  return first === undefined ? path : formatPlace(path, ...findPosition(text, first));
}

function refuse(place: string, message: string): Checked<never> {
  return { ok: false, problems: [{ path: [], place, message }] };
}
