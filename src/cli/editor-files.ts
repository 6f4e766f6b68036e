import { readFile, writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import { readErrorCode } from "../error-code.ts";
import { describeJsonSchema } from "../config/json-schema.ts";
import { describeReadError } from "../config/read-file.ts";
import { writeAmbientTypes } from "../config/type-declarations.ts";

/** Files for editors that stand beside a configuration. */
export const editorFileNames = { types: "penstock.d.ts", schema: "penstock.schema.json" } as const;

type EditorFile = keyof typeof editorFileNames;

/** The JSON Schema as a file has it. */
export function writeJsonSchema(): string {
  return `${JSON.stringify(describeJsonSchema(), undefined, 2)}\n`;
}

/** Writes such a file, also over an older one of its own; gives why it cannot. */
export async function writeBeside(folder: string, kind: EditorFile): Promise<string | undefined> {
  const name = editorFileNames[kind];
  const path = resolve(folder, name);
  const text = kind === "types" ? writeAmbientTypes() : writeJsonSchema();
  try {
    if (!(await isOurs(path))) return `Cannot write ${name}: another file has this name. Move it away first.`;
    await writeFile(path, text);
    return undefined;
  } catch (error) {
    return `Cannot write ${name}: ${describeReadError(error)}.`;
  }
}

/** Whether nothing is there, or an older file of this program. */
async function isOurs(path: string): Promise<boolean> {
  try {
    const text = await readFile(path, "utf8");
    return text === "" || text.startsWith("// The types of Penstock's") || text.includes('"Penstock configuration"');
  } catch (error) {
    if (readErrorCode(error) === "ENOENT") return true;
    throw error;
  }
}
