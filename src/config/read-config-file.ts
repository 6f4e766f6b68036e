import { extname } from "node:path";

import { importConfig, type ImportOptions } from "./import-config.ts";
import { locateInJson, locateInScript } from "./locate-in-script.ts";
import { parseJson } from "./parse-json.ts";
import { formatPlace, type Locate, type ParsedText, type Source } from "./places.ts";
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
export async function readConfigFile(path: string, options: ImportOptions = {}): Promise<Checked<ConfigText>> {
  const format = await chooseFormat(path);
  if (format === undefined)
    return refuse(`Cannot tell what ${path} is. Give it the ending .ts, .js, .json, .yaml or .toml.`);
  const read = await readTextFile(path, "config");
  if (!read.ok) return refuse(`Cannot read ${path}: ${read.reason}.`);
  const { text } = read;
  const source = { path, text, locate: format.locate };
  const parsed = format.parse === undefined ? await importConfig(source, options) : parseData(source, format.parse);
  return parsed.ok ? { ok: true, value: { ...copyPlainData(parsed.value), source } } : parsed;
}

type Parse = (text: string) => ParsedText;

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
    case ".toml": {
      const { locateInToml, parseToml } = await import("./parse-toml.ts");
      return { parse: parseToml, locate: locateInToml };
    }
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

function refuse(message: string, place?: string): Checked<never> {
  const problem: Problem = { path: [], message, ...(place !== undefined && { place }) };
  return { ok: false, problems: [problem] };
}
