import { resolve } from "node:path";

import { writeAmbientTypes, writePackageTypes } from "../config/type-declarations.ts";
import { formatJson } from "../escape-text.ts";
import { createCommand } from "./command.ts";
import { editorFileNames, writeBeside } from "./editor-files.ts";
import { endWith, exitCodes } from "./io.ts";

/** `penstock types`: what an editor needs to know the settings of a configuration in TypeScript. */
export const types = createCommand({
  name: "types",
  description:
    'Write penstock.d.ts into the working folder: the types of "penstock", with which an editor and tsc check proxy.config.ts without any package.',
  examples: [["penstock types", "Write the types for proxy.config.ts beside it."]],
  args: {
    print: { type: "boolean", description: "Print the file instead." },
    json: { type: "boolean", description: "Print the path of the file as JSON." },
    package: { type: "boolean", description: "Print the types as the package for npm has them, as a module." },
  },
  async run({ has, io }) {
    if (has("print") || has("package")) {
      await io.print(has("package") ? writePackageTypes() : writeAmbientTypes());
      return exitCodes.ok;
    }
    const fault = await writeBeside(io.folder, "types");
    if (fault !== undefined) return endWith(io, fault, exitCodes.failure);
    if (has("json")) {
      await io.print(`${formatJson({ files: [resolve(io.folder, editorFileNames.types)] }, 2)}\n`);
      return exitCodes.ok;
    }
    return endWith(
      io,
      'Wrote penstock.d.ts. Begin proxy.config.ts with: /// <reference path="./penstock.d.ts" />',
      exitCodes.ok,
    );
  },
});
