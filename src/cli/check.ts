import { formatJson } from "../escape-text.ts";
import { createCommand } from "./command.ts";
import { configArgs, configHints, configLists, loadFromFlags, tellProblems } from "./config-args.ts";
import { exitCodes } from "./io.ts";

/** `penstock check`: validates, and prints what would hold. */
export const check = createCommand({
  name: "check",
  description: "Validate the configuration and print what holds, secrets redacted.",
  args: configArgs,
  lists: configLists,
  hints: configHints,
  async run(input) {
    const loaded = await loadFromFlags(input);
    if (!loaded.ok) {
      tellProblems(loaded, input.io);
      return exitCodes.configuration;
    }
    const { compiled, file } = loaded.value;
    await input.io.print(`${formatJson(compiled.effective, 2)}\n`);
    input.io.tell(file === undefined ? "There is no configuration file: the defaults hold." : `${file} is valid.`);
    return exitCodes.ok;
  },
});
