import { describeWithFunctions, isSecret, type JsonSchema, readFunction } from "./json-schema.ts";
import { listOverridingVariables } from "./overrides.ts";
import { isRecord, readList, readRecord, readText } from "./plain-data.ts";
import { writeFunctionReference } from "./reference-functions.ts";

/** Writes the reference of all settings as Markdown, from the schema. */
export function writeReference(): string {
  const schema = describeWithFunctions();
  const sections = Object.entries(readRecord(schema["properties"])).map(([name, setting]) =>
    writeSection(name, readRecord(setting)),
  );
  return [
    "# Configuration",
    "",
    "<!-- Written by `bun run docs` from the schema in src/config/. Do not edit. -->",
    "",
    "The proxy reads `proxy.config.ts`, `.js`, `.mjs`, `.json`, `.yaml`, `.yml` or `.toml` in its working folder, or the file that `--config` names. Every other command also looks into `/etc/penstock`, where that of a service is. Without a file the defaults hold: it listens on 127.0.0.1:8080 and connects directly. `penstock init` writes a commented file (`--format yaml`, `json` or `toml` for another format), `penstock check` validates one. [Editors](editor.md) know the settings by the JSON Schema (`penstock schema`) or by the types (`penstock types`).",
    "",
    "A setting that is not known, a value that cannot be read and settings that contradict each other are errors. The proxy reports all of them at once, each with its place (`proxy.config.yaml:3:5`) and the line, and the program exits with 78. Messages never repeat a text that may be a secret.",
    "",
    "A file in TypeScript or JavaScript exports a map of settings, or a promise of one, within 10 seconds. It holds plain data and functions: an object of a class, with getters or with inherited fields is an error, since its settings would be ignored. A name that appears twice in a map is an error in JSON, YAML and TOML. YAML is read as version 1.2, with `<<` to merge maps.",
    "",
    'Durations are texts with a unit: `"500ms"`, `"10s"`, `"2m"`, `"1h"`, `"1d"`. Sizes likewise: `"512B"`, `"32KiB"`, `"20MB"`. A secret is a text, `{ env: "NAME" }` (in TypeScript also `env("NAME")`) or `{ file: "path" }`. Relative paths start at the folder of the file. Functions exist in TypeScript and JavaScript only.',
    "",
    ...sections,
    writeFunctionReference(),
    writeVariables(),
    "",
  ].join("\n");
}

interface Row {
  readonly path: string;
  readonly type: string;
  readonly fallback: string;
  readonly text: string;
}

function writeSection(name: string, setting: JsonSchema): string {
  const rows = listRows(name, setting);
  const text = readText(setting, "description") ?? "";
  const lines = [`## \`${name}\``, "", text, "", `Type: ${describeType(setting)}.${writeDefault(setting)}`, ""];
  if (rows.length > 0)
    lines.push(
      "| Setting | Type | Default | Meaning |",
      "| --- | --- | --- | --- |",
      ...rows.map((row) => `| \`${row.path}\` | ${row.type} | ${row.fallback} | ${row.text} |`),
      "",
    );
  return lines.join("\n");
}

function writeDefault(setting: JsonSchema): string {
  const fallback = describeDefault(setting);
  return fallback === "" ? "" : ` Default: ${fallback}.`;
}

/** The settings inside of a setting: of a map, of the items of a list, of the values of a map of names. */
function listRows(path: string, setting: JsonSchema): Row[] {
  const properties = Object.entries(readRecord(setting["properties"]));
  const rows = properties.flatMap(([name, value]) => {
    const inner = readRecord(value);
    const row: Row = {
      path: `${path}.${name}`,
      type: describeType(inner),
      fallback: readList(setting["required"]).includes(name) ? "required" : describeDefault(inner),
      text: escapeCell(readText(inner, "description") ?? ""),
    };
    // The introduction describes secrets once.
    return isSecret(inner) ? [row] : [row, ...listRows(row.path, inner)];
  });
  const forms = readList(setting["anyOf"]).flatMap((form) => listRows(path, readRecord(form)));
  const items = isRecord(setting["items"]) ? listRows(`${path}[]`, setting["items"]) : [];
  const named = isRecord(setting["additionalProperties"])
    ? listRows(`${path}.NAME`, setting["additionalProperties"])
    : [];
  return [...rows, ...forms, ...items, ...named];
}

function describeType(setting: JsonSchema): string {
  const choices = readList(setting["enum"]);
  if (choices.length > 0) return choices.map((choice) => code(choice)).join(" or ");
  if (isSecret(setting)) return "secret";
  if (readFunction(setting) !== undefined) return "function";
  const forms = readList(setting["anyOf"]);
  if (forms.length > 0) return forms.map((form) => describeType(readRecord(form))).join(" or ");
  switch (setting["type"]) {
    case "array":
      return isRecord(setting["items"])
        ? `list of ${describeType(setting["items"]).replace(/^(.* or .*)$/, "($1)")}`
        : "list";
    case "object":
      return isRecord(setting["additionalProperties"])
        ? `map from names to ${describeType(setting["additionalProperties"])}`
        : "map";
    case "string":
      return "text";
    case "integer":
      return `number from ${String(setting["minimum"])} to ${String(setting["maximum"])}`;
    case "boolean":
      return "`true` or `false`";
    default:
      return "any";
  }
}

/** Empty when there is none, or when it is a map whose settings have their own. */
function describeDefault(setting: JsonSchema): string {
  const fallback = setting["default"];
  const silent = fallback === undefined || (isRecord(fallback) && Object.keys(fallback).length === 0);
  return silent ? "" : code(fallback);
}

function code(value: unknown): string {
  return `\`${JSON.stringify(value)}\``;
}

function escapeCell(text: string): string {
  return text.replace(/\|/g, "\\|");
}

function writeVariables(): string {
  return [
    "## Environment variables",
    "",
    "Flags go before the environment, the environment before the file, the file before the defaults. `PENSTOCK_CONFIG` is the path of the file. An empty variable is an error. One that begins with `PENSTOCK_` and is neither here nor asked for by the file is not read, and the proxy warns of it; variables that Kubernetes sets for a service of that name are ignored. `PENSTOCK_SIDECAR_TOKEN` alone makes no sidecar.",
    "",
    "| Variable | Setting | Written |",
    "| --- | --- | --- |",
    ...listOverridingVariables().map(({ name, path, notation }) => `| \`${name}\` | \`${path}\` | ${notation} |`),
    "",
    'With `upstream: "environment"` (or `"environment"` as a way of a rule or as `default`) the conventional variables choose the upstream: `https_proxy` or `HTTPS_PROXY` for tunnels, `http_proxy` for plain requests (in lower case only), then `all_proxy` or `ALL_PROXY`; `no_proxy` or `NO_PROXY` lists what goes directly: `*`, names (with every name below them), addresses and ranges, apart by commas or spaces, names and addresses also with a port.',
  ].join("\n");
}
