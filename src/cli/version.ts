import { version } from "../version.ts";
import { createCommand } from "./command.ts";
import { exitCodes } from "./io.ts";

/** `penstock version`: what this is, for reports. */
export const showVersion = createCommand({
  name: "version",
  description: "Print the version, the runtime and the platform.",
  examples: [["penstock version --json", "Give a script the version and the platform."]],
  args: { json: { type: "boolean", description: "Print JSON." } },
  async run({ io, has }) {
    if (has("json")) {
      const { platform, arch } = process;
      await io.print(`${JSON.stringify({ version, bun: Bun.version, platform, arch }, null, 2)}\n`);
      return exitCodes.ok;
    }
    await io.print(`penstock ${version} (bun ${Bun.version}, ${process.platform} ${process.arch})\n`);
    return exitCodes.ok;
  },
});
