import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import { configFileNames } from "../config/read-config-file.ts";
import { describeReadError } from "../config/read-file.ts";
import { quoteValue } from "../config/problem.ts";
import { suggest } from "../config/suggest.ts";
import { formatJson } from "../escape-text.ts";
import { createCommand } from "./command.ts";
import { editorFileNames, writeBeside } from "./editor-files.ts";
import { exampleConfigs } from "./example-configs.ts";
import { endWith, exitCodes } from "./io.ts";

/** `penstock init`: a commented file to begin with, and beside it what makes editors know the settings. */
export const init = createCommand({
  name: "init",
  description: "Write a commented configuration into the working folder, and beside it a file for editors.",
  examples: [
    ["penstock init --format yaml", "Write a configuration in YAML to begin with, and the schema for the editor."],
  ],
  args: {
    format: {
      type: "string",
      valueHint: Object.keys(exampleConfigs).join("|"),
      description:
        "Format of the configuration. Default: ts. Only TypeScript can have functions, only JSON has no comments.",
    },
    json: { type: "boolean", description: "Print the paths of the files as JSON." },
  },
  async run({ value, has, io }) {
    const format = value("format") ?? "ts";
    const example = Object.entries(exampleConfigs).find(([name]) => name === format)?.[1];
    if (example === undefined) {
      const known = Object.keys(exampleConfigs);
      return endWith(
        io,
        `--format is ${quoteValue(format)}. Write one of ${known.map((name) => `"${name}"`).join(", ")}.${suggest(format, known)}`,
        exitCodes.usage,
      );
    }
    const { file, text, needs } = example;
    const fail = (reason: string): number => endWith(io, `Cannot write ${file}: ${reason}`, exitCodes.failure);
    const present = configFileNames.find((name) => existsSync(resolve(io.folder, name)));
    if (present !== undefined) return fail(`${present} is there already. Remove it first, or edit it.`);
    try {
      // "wx" keeps a file that appeared meanwhile.
      await writeFile(resolve(io.folder, file), text, { flag: "wx" });
    } catch (error) {
      return fail(`${describeReadError(error)}.`);
    }
    const fault = await writeBeside(io.folder, needs);
    if (fault !== undefined) return endWith(io, `Wrote ${file}. ${fault}`, exitCodes.failure);
    if (has("json")) {
      const files = [file, editorFileNames[needs]].map((name) => resolve(io.folder, name));
      await io.print(`${formatJson({ files }, 2)}\n`);
      return exitCodes.ok;
    }
    return endWith(
      io,
      `Wrote ${file}, and ${editorFileNames[needs]} for editors. Edit it, then run "penstock check" and "penstock".`,
      exitCodes.ok,
    );
  },
});
