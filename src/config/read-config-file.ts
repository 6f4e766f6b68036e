import { existsSync } from "node:fs";
import { extname } from "node:path";

import * as api from "../index.ts";
import { parseJson } from "./parse-json.ts";
import type { Checked, Problem } from "./problem.ts";
import { readTextFile } from "./read-file.ts";

/** Names that are looked for when none is given. */
export const configFileNames = [
  "proxy.config.ts",
  "proxy.config.js",
  "proxy.config.mjs",
  "proxy.config.json",
  "proxy.config.yaml",
  "proxy.config.yml",
  "proxy.config.toml",
];

/** Reads a configuration file by its ending. `path` is absolute. Problems name file and line as far as they are known. */
export async function readConfigFile(path: string): Promise<Checked<unknown>> {
  switch (extname(path)) {
    case ".ts":
    case ".mts":
    case ".js":
    case ".mjs":
      return importConfig(path);
    case ".json":
      return readData(path, parseJson);
    case ".yaml":
    case ".yml":
      return readData(path, (text) => parseLines(text, Bun.YAML.parse));
    case ".toml":
      return readData(path, (text) => parseLines(text, Bun.TOML.parse));
    default:
      return refuse(`Cannot tell what ${path} is. Give it the ending .ts, .js, .json, .yaml or .toml.`);
  }
}

type Parse = (
  text: string,
) => { ok: true; value: unknown } | { ok: false; message: string; line?: number; column?: number };

async function readData(path: string, parse: Parse): Promise<Checked<unknown>> {
  const read = await readTextFile(path, "config");
  if (!read.ok) return refuse(`Cannot read ${path}: ${read.reason}.`);
  const parsed = parse(read.text);
  if (parsed.ok) return { ok: true, value: parsed.value };
  const { message, line, column } = parsed;
  return refuse(message, formatPlace(path, line, column));
}

/**
 * Parses a format whose errors carry no line: the shortest beginning of the
 * text that fails in the same way ends with the line that is wrong.
 */
function parseLines(text: string, parse: (text: string) => unknown): ReturnType<Parse> {
  const message = findFault(text, parse);
  // An empty file sets nothing; YAML reads it as null.
  if (message === undefined) return { ok: true, value: parse(text) ?? {} };
  const lines = text.split("\n").slice(0, 2000);
  let beginning = "";
  for (const [at, line] of lines.entries()) {
    beginning += `${line}\n`;
    if (findFault(beginning, parse) === message) return { ok: false, message: `${message}.`, line: at + 1 };
  }
  return { ok: false, message: `${message}.` };
}

function findFault(text: string, parse: (text: string) => unknown): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

let providesApi = false;

/** Makes `import … from "penstock"` work in a configuration file with no package beside it. */
function provideApi(): void {
  if (providesApi) return;
  providesApi = true;
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

async function importConfig(path: string): Promise<Checked<unknown>> {
  // The import alone would wait for a named pipe without end.
  const readable = await readTextFile(path, "config");
  if (!readable.ok) return refuse(`Cannot read ${path}: ${readable.reason}.`);
  provideApi();
  try {
    const module = (await import(path)) as Readonly<Record<string, unknown>>;
    if (module["default"] !== undefined) return { ok: true, value: module["default"] };
    return refuse('The file exports no configuration. Write "export default defineConfig({ … })".', path);
  } catch (error) {
    return refuseImport(path, error);
  }
}

/** A file of somebody else's code may throw anything. The compiler throws several errors as one. */
function refuseImport(path: string, thrown: unknown): Checked<never> {
  if (!existsSync(path)) return refuse(`Cannot read ${path}: there is no such file or folder.`);
  const errors: readonly unknown[] = thrown instanceof AggregateError ? thrown.errors : [thrown];
  const problems = errors.map((error): Problem => {
    const message = error instanceof Error ? error.message : String(error);
    return { path: [], origin: findPlace(path, error), message: `${message.replace(/\.$/, "")}.` };
  });
  return { ok: false, problems };
}

/** Where in the file: from the compiler's position, else from the first frame of the stack that is in the file. */
function findPlace(path: string, error: unknown): string {
  const details = error as {
    position?: { line?: number; column?: number } | null;
    stack?: unknown;
  } | null;
  const position = details?.position;
  if (position?.line !== undefined) return formatPlace(path, position.line, position.column);
  const frames = typeof details?.stack === "string" ? details.stack : "";
  const start = frames.indexOf(`${path}:`);
  const place = /^:([0-9]+):([0-9]+)/.exec(frames.slice(start + path.length));
  return start < 0 || !place ? path : formatPlace(path, Number(place[1]), Number(place[2]));
}

function formatPlace(path: string, line?: number, column?: number): string {
  return [path, line, column].filter((part) => part !== undefined).join(":");
}

function refuse(message: string, origin?: string): Checked<never> {
  const problem: Problem = {
    path: [],
    message,
    ...(origin !== undefined && { origin }),
  };
  return { ok: false, problems: [problem] };
}
