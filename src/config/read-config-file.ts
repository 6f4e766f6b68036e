import { readFileSync, statSync } from "node:fs";
import { dirname, extname, resolve } from "node:path";

import { run, type Steps } from "../steps.ts";
import { importConfig, type ImportOptions } from "./import-config.ts";
import { locateInJson, locateInScript } from "./locate-in-script.ts";
import { parseJsonInSteps } from "./parse-json.ts";
import { formatPlace, type Locate, type OpenModule, type ParsedText, type Source } from "./places.ts";
import { copyInSteps, type PlainData } from "./plain-data.ts";
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

/** Texts of files that places are in, by path: there also for a file that cannot be used. */
export type Texts = ReadonlyMap<string, string>;

export type ReadConfig = Checked<ConfigText> & { readonly texts?: Texts };

/** Reads a configuration file by its ending. `path` is absolute. */
export async function readConfigFile(
  path: string,
  options: ImportOptions & { readonly turn?: () => Promise<void> } = {},
): Promise<ReadConfig> {
  const format = await chooseFormat(path);
  if (format === undefined)
    return refuse(`Cannot tell what ${path} is. Give it the ending .ts, .js, .json, .yaml or .toml.`);
  const read = await readTextFile(path, "config");
  if (!read.ok) return refuse(`Cannot read ${path}: ${read.reason}.`);
  const { text } = read;
  const texts = new Map([[path, text]]);
  const isScript = format.parse === undefined;
  const source = { path, text, locate: format.locate, ...(isScript && { open: openFrom(path, texts) }) };
  const from = isScript ? "program" : "data";
  const parsed =
    format.parse === undefined
      ? await importConfig(source, options)
      : await run(parseData(source, format.parse), options.turn);
  if (!parsed.ok) return { ...parsed, texts };
  return { ok: true, value: { ...(await run(copyInSteps(parsed.value, from), options.turn)), source }, texts };
}

/** A configuration that is imported is not larger. */
const MAX_MODULE_BYTES = 8 * 1024 * 1024;

/** Opens the files that a script imports by a relative path, to find settings in them. */
function openFrom(path: string, texts: Map<string, string>): OpenModule {
  return (specifier) => {
    if (!/^\.{1,2}\//.test(specifier)) return undefined;
    const file = resolve(dirname(path), specifier);
    try {
      const found = statSync(file);
      if (!found.isFile() || found.size > MAX_MODULE_BYTES) return undefined;
      const text = texts.get(file) ?? readFileSync(file, "utf8");
      texts.set(file, text);
      return { path: file, text, locate: locateInScript, open: openFrom(file, texts) };
    } catch {
      // The import has told what is wrong with the file, or found it by another ending.
      return undefined;
    }
  };
}

type Parse = (text: string) => Steps<ParsedText>;

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
      return { parse: parseJsonInSteps, locate: locateInJson };
    case ".yaml":
    case ".yml": {
      // Loaded when it is needed, since most configurations are no YAML.
      const { locateInYaml, parseYaml } = await import("./parse-yaml.ts");
      return { parse: inOneStep(parseYaml), locate: locateInYaml };
    }
    case ".toml": {
      const { locateInToml, parseToml } = await import("./parse-toml.ts");
      return { parse: inOneStep(parseToml), locate: locateInToml };
    }
    default:
      return undefined;
  }
}

/** A parser of somebody else, which makes no pauses. */
function inOneStep(parse: (text: string) => ParsedText): Parse {
  return function* (text) {
    yield;
    return parse(text);
  };
}

function* parseData({ path, text }: Source, parse: Parse): Steps<Checked<unknown>> {
  const parsed = yield* parse(text);
  if (parsed.ok) return parsed;
  const { message, line, column } = parsed;
  return refuse(message, formatPlace(path, line, column));
}

function refuse(message: string, place?: string): Checked<never> {
  const problem: Problem = { path: [], message, ...(place !== undefined && { place }) };
  return { ok: false, problems: [problem] };
}
