import { extname } from "node:path";

import { run, type Steps } from "../steps.ts";
import { importConfig, type ImportOptions } from "./import-config.ts";
import { locateInJson, locateInScript } from "./locate-in-script.ts";
import { parseJsonInSteps } from "./parse-json.ts";
import { formatPlace, type Locate, type ParsedText, type Source } from "./places.ts";
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

/** Reads a configuration file by its ending. `path` is absolute. */
export async function readConfigFile(
  path: string,
  options: ImportOptions & { readonly turn?: () => Promise<void> } = {},
): Promise<Checked<ConfigText>> {
  const format = await chooseFormat(path);
  if (format === undefined)
    return refuse(`Cannot tell what ${path} is. Give it the ending .ts, .js, .json, .yaml or .toml.`);
  const read = await readTextFile(path, "config");
  if (!read.ok) return refuse(`Cannot read ${path}: ${read.reason}.`);
  const { text } = read;
  const source = { path, text, locate: format.locate };
  const from = format.parse === undefined ? "program" : "data";
  const parsed =
    format.parse === undefined
      ? await importConfig(source, options)
      : await run(parseData(source, format.parse), options.turn);
  if (!parsed.ok) return parsed;
  return { ok: true, value: { ...(await run(copyInSteps(parsed.value, from), options.turn)), source } };
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
