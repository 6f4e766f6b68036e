import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";

import { configFileNames } from "../config/read-config-file.ts";
import { describeReadError } from "../config/read-file.ts";
import { suggest } from "../config/suggest.ts";
import { createCommand } from "./command.ts";
import { editorFileNames, writeBeside } from "./editor-files.ts";
import { exampleConfigs } from "./example-configs.ts";
import { exitCodes } from "./io.ts";

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
  },
  async run({ value, io }) {
    const format = value("format") ?? "ts";
    const example = Object.entries(exampleConfigs).find(([name]) => name === format)?.[1];
    if (example === undefined) {
      const known = Object.keys(exampleConfigs);
      io.tell(`--format: Write one of ${known.map((name) => `"${name}"`).join(", ")}.${suggest(format, known)}`);
      return exitCodes.usage;
    }
    const { file, text, needs } = example;
    const fail = (reason: string): number => {
      io.tell(`Cannot write ${file}: ${reason}`);
      return exitCodes.failure;
    };
    const present = configFileNames.find((name) => existsSync(resolve(io.folder, name)));
    if (present !== undefined) return fail(`${present} is there already. Remove it first, or edit it.`);
    try {
      // "wx" keeps a file that appeared meanwhile.
      await writeFile(resolve(io.folder, file), text, { flag: "wx" });
    } catch (error) {
      return fail(`${describeReadError(error)}.`);
    }
    const fault = await writeBeside(io.folder, needs);
    if (fault !== undefined) {
      io.tell(`Wrote ${file}. ${fault}`);
      return exitCodes.failure;
    }
    io.tell(
      `Wrote ${file}, and ${editorFileNames[needs]} for editors. Edit it, then run "penstock check" and "penstock".`,
    );
    return exitCodes.ok;
  },
});
