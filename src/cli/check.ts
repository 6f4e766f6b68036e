import type { CompiledConfig } from "../config/compile.ts";
import { diffConfigs, keepFixedSettings } from "../config/diff-config.ts";
import { readRecord } from "../config/plain-data.ts";
import { formatJson } from "../escape-text.ts";
import { askSidecar, findRunningSidecar, readDetail, readJson, TOKEN_VARIABLE } from "./ask-sidecar.ts";
import { createCommand } from "./command.ts";
import { configArgs, configHints, configLists, loadFromFlags, tellProblems } from "./config-args.ts";
import { type CliIo, exitCodes } from "./io.ts";

/** `penstock check`: validates, and prints what would hold, or what would change. */
export const check = createCommand({
  name: "check",
  description: "Validate the configuration and print what holds, secrets redacted.",
  args: {
    ...configArgs,
    diff: {
      type: "boolean",
      description: `Print what a reload would change in the running proxy instead. Asks the sidecar that the configuration names, with the token in ${TOKEN_VARIABLE}, or else with that of the configuration. Secrets and contents of files are not compared.`,
    },
  },
  lists: configLists,
  hints: configHints,
  async run(input) {
    const { io } = input;
    const wantsDiff = input.has("diff");
    // A proxy that runs in the background does not write for a terminal.
    const loaded = await loadFromFlags(input, wantsDiff ? { terminal: false } : {});
    if (!loaded.ok) {
      tellProblems(loaded, io);
      return exitCodes.configuration;
    }
    const { compiled, file } = loaded.value;
    if (wantsDiff) return printDiff(compiled, io);
    await io.print(`${formatJson(compiled.effective, 2)}\n`);
    io.tell(file === undefined ? "There is no configuration file: the defaults hold." : `${file} is valid.`);
    return exitCodes.ok;
  },
});

async function printDiff(compiled: CompiledConfig, io: CliIo): Promise<number> {
  const access = findRunningSidecar(compiled, io, "/config");
  if (typeof access === "string") {
    io.tell(`${access}. --diff asks the running proxy over its sidecar.`);
    return exitCodes.failure;
  }
  const answer = await askSidecar(access, access.url, "GET");
  if (typeof answer === "string" || answer.status !== 200) {
    io.tell(
      typeof answer === "string" ? answer : `The sidecar refused (${answer.status}): ${await readDetail(answer)}`,
    );
    return exitCodes.failure;
  }
  // These two are about the process.
  const { splicing: _, driving: __, ...running } = await readJson(answer);
  // As it came over HTTP.
  const wanted: unknown = JSON.parse(JSON.stringify(compiled.effective));
  const { effective, warnings } = keepFixedSettings(running, readRecord(wanted));
  const changes = diffConfigs(running, effective);
  for (const warning of warnings) io.tell(`Warning: ${warning}`);
  await io.print(changes.map((change) => `${change}\n`).join(""));
  if (changes.length === 0) io.tell("A reload would change no setting that can be shown.");
  return exitCodes.ok;
}
