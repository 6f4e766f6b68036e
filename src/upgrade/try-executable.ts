import { nameError } from "../error-code.ts";
import { type Outcome, done, refuse } from "./refusal.ts";

/** How the executable is tried: as the proxy is run. */
export interface Surroundings {
  readonly folder: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

const VERSION_MS = 15_000;
/** A configuration file is a program, and may read lists. */
const CHECK_MS = 60_000;
const MAX_LINES = 20;

/** Runs `version`, and gives the version that it prints. */
export async function readVersion(path: string, around: Surroundings): Promise<Outcome<string>> {
  const ran = await run([path, "version"], around, VERSION_MS);
  if (typeof ran === "string") return refuse("start", `The executable does not start: ${ran}.`);
  const version = /^penstock (\d+\.\d+\.\d+[\w.+-]*) \(/.exec(ran.stdout)?.[1];
  if (ran.code === 0 && version !== undefined) return done(version);
  return refuse(
    "start",
    version === undefined && ran.code === 0
      ? 'The executable is not Penstock: "version" does not print a version of it.'
      : `The executable does not start: "version" ended with ${ran.code}.`,
    listLines(ran.stderr),
  );
}

/** Runs `check` for the configuration that the flags of `args` select. */
export async function checkConfiguration(
  path: string,
  args: readonly string[],
  around: Surroundings,
): Promise<Outcome<undefined>> {
  const ran = await run([path, "check", ...args], around, CHECK_MS);
  if (typeof ran === "string")
    return refuse("configuration", `The new version cannot check the configuration: ${ran}.`);
  if (ran.code === 0) return done(undefined);
  return refuse("configuration", "The new version cannot use the present configuration.", listLines(ran.stderr));
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, or says why it came to none; continues a sentence. */
async function run(command: string[], { folder, variables }: Surroundings, ms: number): Promise<Ran | string> {
  try {
    await using child = Bun.spawn(command, {
      cwd: folder,
      env: { ...variables },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: process.platform !== "win32",
    });
    const ended = Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), ms);
    const all = await Promise.race([ended, late.promise]);
    clearTimeout(timer);
    if (all === undefined) {
      killGroup(child);
      ended.catch(() => undefined);
      return `it did not end within ${ms / 1000} s`;
    }
    const [code, stdout, stderr] = all;
    if (child.signalCode !== null) return `it was ended by ${child.signalCode}`;
    return { code, stdout, stderr };
  } catch (error) {
    return nameError(error);
  }
}

/** Ends a program and those that it has started. */
function killGroup(child: Bun.Subprocess): void {
  try {
    if (process.platform === "win32") child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

function listLines(text: string): readonly string[] {
  return text.trim().split("\n").filter(Boolean).slice(0, MAX_LINES);
}
