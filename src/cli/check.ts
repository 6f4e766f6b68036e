import type { CompiledConfig } from "../config/compile.ts";
import { diffConfigs, keepFixedSettings } from "../config/diff-config.ts";
import type { LoadResult } from "../config/load.ts";
import { TOKEN_VARIABLE } from "../config/overrides.ts";
import { readPlace } from "../config/places.ts";
import { readList, readRecord } from "../config/plain-data.ts";
import { formatPath, type Problem } from "../config/problem.ts";
import { formatJson } from "../escape-text.ts";
import { describeRefusal } from "./ask-answer.ts";
import { askSidecar, readJson } from "./ask-sidecar.ts";
import { createCommand, type CommandInput } from "./command.ts";
import { configArgs, configHints, configLists, loadFromFlags, tellProblems } from "./config-args.ts";
import { createJudge, describeJudged, type Judge } from "./judge-files.ts";
import { findRunningSidecar, withoutSidecar } from "./find-sidecar.ts";
import { endWith, exitCodes } from "./io.ts";

/** `penstock check`: validates, and prints what would hold, or what would change. */
export const check = createCommand({
  name: "check",
  description: "Validate the configuration and print what holds, secrets redacted.",
  examples: [
    ["penstock check --json", "Give an editor or CI every problem with its place."],
    ["sudo penstock check", "Also say what the user of the service cannot read, and what mends it."],
    ["penstock check --diff", "Show what a reload would change."],
  ],
  args: {
    ...configArgs,
    sidecar: {
      ...configArgs.sidecar,
      description: `${configArgs.sidecar.description} With --diff: the sidecar to ask, also as a URL.`,
    },
    as: {
      type: "string",
      valueHint: "USER",
      description:
        "As root: also check whether this user, by name or number, can read the files that the configuration names, and keep its state. Default: the user of the installed service, where the configuration is that of the service.",
    },
    diff: {
      type: "boolean",
      description: `Print what a reload would change in the running proxy instead. Asks the sidecar that the configuration names, with the token in ${TOKEN_VARIABLE}, or else with that of the configuration. Secrets and contents of files are not compared.`,
    },
    json: {
      type: "boolean",
      description:
        "Print everything as one JSON object: valid, file, judgedFor (the user of --as, or of the service), problems and warnings (each with severity, setting, message, file, line and column), and effective, or changes with --diff. The exit code stays the same.",
    },
  },
  lists: configLists,
  hints: configHints,
  async run(input) {
    const { io } = input;
    const wantsDiff = input.has("diff");
    const wantsJson = input.has("json");
    const judge = createJudge(input);
    if (typeof judge === "string") {
      io.tell(judge);
      return exitCodes.usage;
    }
    // A proxy that runs in the background does not write for a terminal.
    const loaded = await loadFromFlags(wantsDiff ? withoutSidecar(input) : input, {
      strictLists: true,
      ...(judge && { judgeFiles: judge.judgeFiles }),
      ...(wantsDiff && { terminal: false }),
      ...(wantsJson && { warn: () => undefined }),
    });
    if (wantsJson) return printJson(loaded, wantsDiff, input, judge?.judged());
    if (!loaded.ok) {
      tellProblems(loaded, io);
      return exitCodes.configuration;
    }
    const { compiled, file } = loaded.value;
    if (wantsDiff) return printDiff(compiled, input);
    await io.print(`${formatJson(compiled.effective, 2)}\n`);
    io.tell(file === undefined ? "There is no configuration file: the defaults hold." : `${file} is valid.`);
    const judged = describeJudged(judge?.judged());
    return judged === undefined ? exitCodes.ok : endWith(io, judged, exitCodes.ok);
  },
});

async function printDiff(compiled: CompiledConfig, input: CommandInput): Promise<number> {
  const { io } = input;
  const compared = await compareWithRunning(compiled, input);
  if (typeof compared === "string") return endWith(io, compared, exitCodes.failure);
  const { changes, warnings } = compared;
  for (const warning of warnings) io.tell(`Warning: ${warning}`);
  await io.print(changes.map((change) => `${change}\n`).join(""));
  if (changes.length === 0) io.tell("A reload would change no setting that can be shown.");
  return exitCodes.ok;
}

/** Everything that the other forms print and tell, for programs. */
async function printJson(
  loaded: LoadResult,
  wantsDiff: boolean,
  input: CommandInput,
  judged: ReturnType<Judge["judged"]>,
): Promise<number> {
  const compiled = loaded.ok ? loaded.value.compiled : undefined;
  const compared = compiled && wantsDiff ? await compareWithRunning(compiled, input) : undefined;
  const warnings = loaded.warnings.map((warning) => describeProblem(warning, "warning"));
  if (typeof judged === "string") warnings.push(describeText(judged));
  const report = {
    valid: loaded.ok,
    file: loaded.file,
    ...(typeof judged === "object" && { judgedFor: judged.account.name }),
    problems: loaded.ok ? [] : loaded.problems.map((problem) => describeProblem(problem, "error")),
    warnings: typeof compared === "object" ? [...warnings, ...compared.warnings.map(describeText)] : warnings,
    ...(wantsDiff ? typeof compared === "object" && { changes: compared.changes } : { effective: compiled?.effective }),
    ...(typeof compared === "string" && { error: compared }),
  };
  await input.io.print(`${formatJson(report, 2)}\n`);
  if (!loaded.ok) return exitCodes.configuration;
  return typeof compared === "string" ? exitCodes.failure : exitCodes.ok;
}

/** A problem for a program: `undefined` is left out. */
type Described = Readonly<Record<string, string | number | undefined>>;

/** The setting is a text: names in it that may be secrets are left out. */
function describeProblem({ path, message, origin, place }: Problem, severity: "error" | "warning"): Described {
  const setting = formatPath(path);
  return { severity, setting, path: setting, message, origin, place, ...(place !== undefined && readPlace(place)) };
}

/** A warning that names its setting itself, or none. */
function describeText(message: string): Described {
  return describeProblem({ path: [], message }, "warning");
}

/** What a reload would change, and what it would warn of; or why nobody knows. */
async function compareWithRunning(
  compiled: CompiledConfig,
  input: CommandInput,
): Promise<{ readonly changes: readonly string[]; readonly warnings: readonly string[] } | string> {
  const access = findRunningSidecar(compiled, input, "/config");
  if (typeof access === "string") return `${access}. --diff asks the running proxy over its sidecar.`;
  const answer = await askSidecar(access, access.url, "GET");
  if (typeof answer === "string") return answer;
  if (answer.status !== 200) return describeRefusal(answer);
  // These are about the process.
  const { splicing: _, driving: __, derived, ...running } = await readJson(answer);
  // As it came over HTTP.
  const wanted: Record<string, unknown> = JSON.parse(JSON.stringify(compiled.effective));
  // A default that depends on a process would be the same there after a reload.
  const isDerived = readList(derived).includes("limits.connections") && compiled.derived.length > 0;
  const { connections } = readRecord(running["limits"]);
  if (isDerived) wanted["limits"] = { ...readRecord(wanted["limits"]), connections };
  const { effective, warnings } = keepFixedSettings(running, wanted);
  return { changes: diffConfigs(running, effective), warnings };
}
