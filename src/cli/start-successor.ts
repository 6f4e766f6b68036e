import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { nameError } from "../error-code.ts";
import type { SuccessorProcess } from "../handover/attempt.ts";
import type { StartSuccessor } from "../handover/handover.ts";

/** The variable that tells a process at which descriptor the one before it hands over. */
export const CHANNEL_VARIABLE = "PENSTOCK_HANDOVER_CHANNEL";

/** The first descriptor after the three of every process. */
const CHANNEL = 3;

/** They name the process that they are for, and there is no process yet. */
const FOR_THIS_PROCESS = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/** How this process was started. */
export interface OwnCommand {
  /** The program, as it was written. It may be another file by now: that is the one to start. */
  readonly program: string;
  /** What comes before the arguments with this program alone: the script that an interpreter runs. */
  readonly script: readonly string[];
  readonly args: readonly string[];
  readonly folder: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

/** Starts further processes with the arguments, the variables and the folder of this one. */
export function createStarter({ program, script, args, folder, variables }: OwnCommand): StartSuccessor {
  return (channel, executable) => {
    const command = executable === undefined ? [program, ...script, ...args] : [executable, ...args];
    const env: Record<string, string | undefined> = { ...variables, [CHANNEL_VARIABLE]: String(CHANNEL) };
    for (const name of FOR_THIS_PROCESS) delete env[name];
    try {
      const child = Bun.spawn(command, {
        cwd: folder,
        env,
        stdio: ["inherit", "inherit", "inherit", channel],
      });
      // It outlives this process.
      child.unref();
      return describe(child);
    } catch (error) {
      return `Cannot start ${command[0] ?? program}: ${nameError(error)}.`;
    }
  };
}

function describe(child: Bun.Subprocess): SuccessorProcess {
  return {
    pid: child.pid,
    exited: child.exited.then((code) =>
      child.signalCode === null ? `ended with exit code ${code}` : `was ended by ${child.signalCode}`,
    ),
    kill: (signal) => child.kill(signal),
  };
}

/** How this process was started. The variables are copied: a configuration file may change them. */
export function readOwnCommand(): OwnCommand {
  const [, script = "", ...args] = process.argv;
  const own = { args, folder: process.cwd(), variables: { ...process.env } };
  if (!isCompiled(process.argv)) return { ...own, program: process.execPath, script: [...process.execArgv, script] };
  return { ...own, program: findOwnProgram(process.argv0, own.folder, own.variables), script: [] };
}

/** Whether these are the arguments of an executable with its script in it, and not of an interpreter. */
export function isCompiled([, script = ""]: readonly string[]): boolean {
  return script.startsWith("/$bunfs/") || /^[A-Z]:[\\/]~BUN[\\/]/.test(script);
}

/**
 * The program of this process as its caller wrote it: a path, a link, or a name in
 * PATH. `process.execPath` is the file behind it, which an upgrade leaves behind
 * when it changes the link.
 */
function findOwnProgram(written: string, folder: string, variables: OwnCommand["variables"]): string {
  const path = written.includes("/") ? resolve(folder, written) : Bun.which(written, { PATH: variables["PATH"] ?? "" });
  return path !== null && existsSync(path) ? path : process.execPath;
}
