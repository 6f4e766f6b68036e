import { type FunctionDoc, functionDocs, functionTerms, type TypeDoc, typeDocs, writeSignature } from "./functions.ts";
import { describeWithFunctions, isSecret, type JsonSchema, readFunction } from "./json-schema.ts";
import { isRecord, readList, readRecord, readText } from "./plain-data.ts";

/** The types of `import … from "penstock"` in TypeScript, for an editor or a compiler without the package. */
export function writeAmbientTypes(): string {
  const types = writeTypes().replace(/^(?=.)/gm, "  ");
  return `${HEAD}declare module "penstock" {\n${types}}\n`;
}

/** The same types as the package has them. */
export function writePackageTypes(): string {
  return `${HEAD}${writeTypes()}`;
}

const HEAD = "// The types of Penstock's configuration. `penstock types` writes this file again.\n\n";

/** Everything that is exported, in any order that can be read. */
function writeTypes(): string {
  const config = describeWithFunctions();
  return [
    `${comment("A secret that an environment variable holds.")}export interface EnvironmentReference {\n${indent(
      `${comment("Name of the variable.")}env: string;\n`,
    )}}\n`,
    `${comment("A secret: a text, or where to find it.")}export type SecretSource = ${writeForms(config, "password")};\n`,
    ...Object.entries(typeDocs).map(([name, doc]) => writeType(name, doc)),
    ...Object.entries(functionDocs).map(([name, doc]) => writeFunction(name, doc)),
    `${comment("The configuration.")}export interface PenstockConfig ${writeMap(config)}\n`,
    `${comment("Gives the configuration back: it is there for the editor, which then knows every setting.")}export function defineConfig(config: PenstockConfig): PenstockConfig;\n`,
    `${comment("A secret that is in the environment variable `name` when the proxy starts. A variable that is missing is a configuration error that names the setting.")}export function env(name: string): EnvironmentReference;\n`,
  ].join("\n");
}

/** The forms of the secret of that name, which is in many places. */
function writeForms(config: JsonSchema, name: string): string {
  const { users } = readRecord(config["properties"]);
  const list = readList(readRecord(users)["anyOf"]).map(readRecord)[0];
  const secret = readRecord(readRecord(readRecord(list?.["items"])["properties"])[name]);
  return writeUnion(readList(secret["anyOf"]));
}

function writeType(name: string, { text, type, fields }: TypeDoc): string {
  if (type !== undefined) return `${comment(text)}export type ${name} = ${type};\n`;
  const lines = fields.map((field) => `${comment(field.text)}readonly ${field.name}: ${field.type};\n`);
  return `${comment(text)}export interface ${name} {\n${indent(lines.join(""))}}\n`;
}

function writeFunction(name: string, doc: FunctionDoc): string {
  const lines = [
    doc.text,
    "",
    functionTerms,
    "",
    ...doc.parameters.map((parameter) => `@param ${parameter.name} ${parameter.text}`),
    `@returns ${doc.resultText}`,
  ];
  return `${comment(lines.join("\n"))}export type ${name} = ${writeSignature(doc)};\n`;
}

/** The type of the values that a schema takes. */
function writeSchema(schema: JsonSchema): string {
  const named = readFunction(schema);
  if (named !== undefined) return named;
  const forms = readList(schema["anyOf"]);
  if (forms.length > 0) return isPlainSecret(schema) ? "SecretSource" : writeUnion(forms);
  if (Array.isArray(schema["enum"])) return schema["enum"].map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema["const"]);
  switch (schema["type"]) {
    case "string":
    case "boolean":
      return schema["type"];
    case "number":
    case "integer":
      return "number";
    case "array": {
      const items = writeSchema(readRecord(schema["items"]));
      return / \| | => /.test(items) ? `(${items})[]` : `${items}[]`;
    }
    case "object":
      return isRecord(schema["additionalProperties"])
        ? `Record<string, ${writeSchema(schema["additionalProperties"])}>`
        : writeMap(schema);
    default:
      return "unknown";
  }
}

function writeUnion(forms: readonly unknown[]): string {
  return [...new Set(forms.map((form) => writeSchema(readRecord(form))))].join(" | ");
}

/** A secret without further settings. */
function isPlainSecret(schema: JsonSchema): boolean {
  const maps = readList(schema["anyOf"]).map((form) => readRecord(readRecord(form)["properties"]));
  return isSecret(schema) && maps.every((properties) => [0, 2].includes(Object.keys(properties).length));
}

function writeMap(schema: JsonSchema): string {
  const required = readList(schema["required"]);
  const members = Object.entries(readRecord(schema["properties"])).map(([name, written]) => {
    const setting = readRecord(written);
    const type = writeSchema(setting);
    const optional = required.includes(name) ? "" : "?";
    return `${comment(describe(setting))}${name}${optional}: ${type}${optional === "" ? "" : " | undefined"};\n`;
  });
  return `{\n${indent(members.join(""))}}`;
}

function describe(setting: JsonSchema): string {
  const text = readText(setting, "description") ?? "";
  const fallback = setting["default"];
  // A map whose settings have their own defaults.
  const silent = fallback === undefined || (isRecord(fallback) && Object.keys(fallback).length === 0);
  return silent ? text : `${text}\n@default ${JSON.stringify(fallback)}`;
}

/** A doc comment with a line break at its end; nothing for no text. */
function comment(text: string): string {
  if (text === "") return "";
  const safe = text.replaceAll("*/", "*\\/");
  return safe.includes("\n") ? `/**\n${safe.replace(/^/gm, " * ").replace(/ +$/gm, "")}\n */\n` : `/** ${safe} */\n`;
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}
