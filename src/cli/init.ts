import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";

// One text for the repository and for this command: it is compiled in.
import text from "../../proxy.config.ts" with { type: "text" };
import { configFileNames } from "../config/read-config-file.ts";
import { describeReadError } from "../config/read-file.ts";
import { createCommand } from "./command.ts";
import { exitCodes } from "./io.ts";

const fileName = "proxy.config.ts";

/** The commented configuration file to begin with. */
export const exampleConfig: string = text as unknown as string;

/** `penstock init`: a commented file to begin with. */
export const init = createCommand({
  name: "init",
  description: `Write a commented ${fileName} into the working folder.`,
  async run({ io }) {
    const present = configFileNames.find((name) => existsSync(resolve(io.folder, name)));
    if (present !== undefined) {
      io.tell(`Cannot write ${fileName}: ${present} is there already. Remove it first, or edit it.`);
      return exitCodes.failure;
    }
    try {
      // "wx" keeps a file that appeared meanwhile.
      await writeFile(resolve(io.folder, fileName), exampleConfig, { flag: "wx" });
    } catch (error) {
      io.tell(`Cannot write ${fileName}: ${describeReadError(error)}.`);
      return exitCodes.failure;
    }
    io.tell(`Wrote ${fileName}. Edit it, then run "penstock check" and "penstock".`);
    return exitCodes.ok;
  },
});
