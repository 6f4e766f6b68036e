import { version } from "../version.ts";
import { createCommand } from "./command.ts";
import { exitCodes } from "./io.ts";

/** `penstock version`: what this is, for reports. */
export const showVersion = createCommand({
  name: "version",
  description: "Print the version, the runtime and the platform.",
  async run({ io }) {
    await io.print(`penstock ${version} (bun ${Bun.version}, ${process.platform} ${process.arch})\n`);
    return exitCodes.ok;
  },
});
