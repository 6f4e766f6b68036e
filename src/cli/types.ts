import { writeAmbientTypes, writePackageTypes } from "../config/type-declarations.ts";
import { createCommand } from "./command.ts";
import { writeBeside } from "./editor-files.ts";
import { exitCodes } from "./io.ts";

/** `penstock types`: what an editor needs to know the settings of a configuration in TypeScript. */
export const types = createCommand({
  name: "types",
  description:
    'Write penstock.d.ts into the working folder: the types of "penstock", with which an editor and tsc check proxy.config.ts without any package.',
  examples: [["penstock types", "Write the types for proxy.config.ts beside it."]],
  args: {
    print: { type: "boolean", description: "Print the file instead." },
    package: { type: "boolean", description: "Print the types as the package for npm has them, as a module." },
  },
  async run({ has, io }) {
    if (has("print") || has("package")) {
      await io.print(has("package") ? writePackageTypes() : writeAmbientTypes());
      return exitCodes.ok;
    }
    const fault = await writeBeside(io.folder, "types");
    if (fault !== undefined) {
      io.tell(fault);
      return exitCodes.failure;
    }
    io.tell('Wrote penstock.d.ts. Begin proxy.config.ts with: /// <reference path="./penstock.d.ts" />');
    return exitCodes.ok;
  },
});
