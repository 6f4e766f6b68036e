import { writeReference } from "../config/reference.ts";
import { createCommand } from "./command.ts";
import { writeJsonSchema } from "./editor-files.ts";
import { endWith, exitCodes } from "./io.ts";

/** `penstock schema`: what the configuration file may hold, for editors and for people. */
export const schema = createCommand({
  name: "schema",
  description: "Print the JSON Schema of the configuration file.",
  examples: [["penstock schema > penstock.schema.json", "Write the JSON Schema for an editor."]],
  args: {
    json: { type: "boolean", description: "Print JSON, as without this flag." },
    markdown: {
      type: "boolean",
      description: "Print the reference for people instead.",
    },
  },
  async run({ has, io }) {
    if (has("json") && has("markdown"))
      return endWith(io, "Found --json and --markdown. Leave one of them out.", exitCodes.usage);
    const text = has("markdown") ? writeReference() : writeJsonSchema();
    await io.print(text);
    return exitCodes.ok;
  },
});
