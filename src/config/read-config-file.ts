import { extname } from "node:path";

import { importConfig } from "./import-config.ts";
import { locateInJson, locateInScript } from "./locate-in-script.ts";
import { locateInToml } from "./locate-in-toml.ts";
import { parseJson } from "./parse-json.ts";
import { formatPlace, type Locate, type Source } from "./places.ts";
import { copyPlainData, type PlainData } from "./plain-data.ts";
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

/** What a file says, as plain data; what in it is none; and where it says so. */
export interface ConfigText extends PlainData {
  readonly source: Source;
}

/** Reads a configuration file by its ending. `path` is absolute. */
export async function readConfigFile(path: string, importMs?: number): Promise<Checked<ConfigText>> {
  const format = await chooseFormat(path);
  if (format === undefined)
    return refuse(`Cannot tell what ${path} is. Give it the ending .ts, .js, .json, .yaml or .toml.`);
  const read = await readTextFile(path, "config");
  if (!read.ok) return refuse(`Cannot read ${path}: ${read.reason}.`);
  const { text } = read;
  const source = { path, text, locate: format.locate };
  const parsed = format.parse === undefined ? await importConfig(source, importMs) : parseData(source, format.parse);
  return parsed.ok ? { ok: true, value: { ...copyPlainData(parsed.value), source } } : parsed;
}

type Parse = (
  text: string,
) => { ok: true; value: unknown } | { ok: false; message: string; line?: number; column?: number };

interface Format {
  /** Undefined for a file that is run. */
  readonly parse?: Parse;
  readonly locate: Locate;
}

async function chooseFormat(path: string): Promise<Format | undefined> {
  switch (extname(path)) {
    case ".ts":
    case ".mts":
    case ".js":
    case ".mjs":
      return { locate: locateInScript };
    case ".json":
      return { parse: parseJson, locate: locateInJson };
    case ".yaml":
    case ".yml": {
      // Loaded when it is needed, since most configurations are no YAML.
      const { locateInYaml, parseYaml } = await import("./parse-yaml.ts");
      return { parse: parseYaml, locate: locateInYaml };
    }
    case ".toml":
      return { parse: parseToml, locate: locateInToml };
    default:
      return undefined;
  }
}

function parseData({ path, text }: Source, parse: Parse): Checked<unknown> {
  const parsed = parse(text);
  if (parsed.ok) return parsed;
  const { message, line, column } = parsed;
  return refuse(message, formatPlace(path, line, column));
}

/**
 * Parses TOML, whose errors carry no line: the shortest beginning of the text
 * that fails in the same way ends with the line that is wrong.
 */
function parseToml(text: string): ReturnType<Parse> {
  const message = findTomlFault(text);
  if (message === undefined) return { ok: true, value: Bun.TOML.parse(text) };
  const lines = text.split("\n").slice(0, 2000);
  let beginning = "";
  for (const [at, line] of lines.entries()) {
    beginning += `${line}\n`;
    if (findTomlFault(beginning) === message) return { ok: false, message: describeTomlFault(message), line: at + 1 };
  }
  return { ok: false, message: describeTomlFault(message) };
}

function findTomlFault(text: string): string | undefined {
  try {
    Bun.TOML.parse(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The parser quotes words of the text, which may be a password without its quotes; signs it may quote. */
function describeTomlFault(message: string): string {
  const words = message.replace(/(['"])(?![^\p{L}\p{N}]{1,3}\1).*$/su, "").replace(/[\s:]+$/, "");
  return `${words.replace(/^TOML Parse error: /, "The TOML cannot be read: ")}.`;
}

function refuse(message: string, place?: string): Checked<never> {
  const problem: Problem = { path: [], message, ...(place !== undefined && { place }) };
  return { ok: false, problems: [problem] };
}
