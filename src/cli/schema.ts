import { writeReference } from "../config/reference.ts";
import { createCommand } from "./command.ts";
import { writeJsonSchema } from "./editor-files.ts";
import { exitCodes } from "./io.ts";

/** `penstock schema`: what the configuration file may hold, for editors and for people. */
export const schema = createCommand({
  name: "schema",
  description: "Print the JSON Schema of the configuration file.",
  examples: [["penstock schema > penstock.schema.json", "Write the JSON Schema for an editor."]],
  args: {
    markdown: {
      type: "boolean",
      description: "Print the reference for people instead.",
    },
  },
  async run({ has, io }) {
    const text = has("markdown") ? writeReference() : writeJsonSchema();
    await io.print(text);
    return exitCodes.ok;
  },
});
