import { waitFor } from "./wait-for.ts";

/** How a program is started. */
export interface ProgramOptions {
  readonly cwd?: string;
  /** Its whole environment but `PATH`, `HOME` and the locale. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads on standard input, to the end. */
  readonly input?: string | Uint8Array | Blob;
}

/** A program and its arguments; those that belong together may stand in an array of their own. */
export type CommandLine = readonly (string | readonly string[])[];

/** What came of a program that ran to its end. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where servers live that an ordinary user's PATH leaves out. */
const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin:/sbin`;

/** Milliseconds after which a program that should have ended is killed. */
const RUN_MS = 120_000;

/** The path of a program, or undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  return Bun.which(name, { PATH }) ?? undefined;
}

/** Nothing of this process's settings but what every program needs: no proxy variables, no `PENSTOCK_*`. */
export function makeEnvironment(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH, HOME: process.env["HOME"] ?? "/", LC_ALL: "C.UTF-8", ...env };
}

/** Runs a program to its end. */
export async function runProgram(command: CommandLine, options: ProgramOptions = {}): Promise<Ran> {
  const { cwd, env, input } = options;
  const child = Bun.spawn(command.flat(), {
    env: makeEnvironment(env),
    stdin: toStdin(input),
    stdout: "pipe",
    stderr: "pipe",
    timeout: RUN_MS,
    ...(cwd !== undefined && { cwd }),
  });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
}

/** Runs a program that must succeed and gives its standard output. */
export async function expectProgram(command: CommandLine, options: ProgramOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await runProgram(command, options);
  if (code !== 0) throw new Error(`${String(command[0])} gave ${code}: ${stderr}${stdout}`);
  return stdout;
}

function toStdin(input: ProgramOptions["input"]): "ignore" | Blob | Uint8Array {
  if (input === undefined) return "ignore";
  return typeof input === "string" ? new Blob([input]) : input;
}

/** A program that runs until it is told to stop. */
export interface RunningProgram extends AsyncDisposable {
  readonly pid: number;
  /** Everything on standard output so far. */
  readonly stdout: string;
  /** The whole lines on standard error so far; messages of the proxy without time and level. */
  readonly told: readonly string[];
  /** The same as they are. */
  readonly toldRaw: readonly string[];
  /** Resolves with the first line on standard error that holds `part`; waits a minute. */
  untilTold(part: string): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Its exit code, once it has ended and all of its output is here. */
  readonly exited: Promise<number>;
}

/** A line on standard error without the time and the level of the proxy's messages. */
export function readMessage(line: string): string {
  return line.replace(/^[0-9-]{10}T[0-9:.]{12}Z (?:error|warn |info |debug) /, "");
}

/** Starts a program in the background and gathers what it says. Disposing ends it. */
export function startProgram(command: CommandLine, options: ProgramOptions = {}): RunningProgram {
  const { cwd, env, input } = options;
  const child = Bun.spawn(command.flat(), {
    env: makeEnvironment(env),
    stdin: toStdin(input),
    stdout: "pipe",
    stderr: "pipe",
    ...(cwd !== undefined && { cwd }),
  });
  let stdout = "";
  let stderr = "";
  const gather = async (): Promise<void> => {
    const text = new TextDecoder();
    for await (const chunk of child.stdout) stdout += text.decode(chunk, { stream: true });
  };
  const gatherTold = async (): Promise<void> => {
    const text = new TextDecoder();
    for await (const chunk of child.stderr) stderr += text.decode(chunk, { stream: true });
  };
  const gathered = Promise.all([gather(), gatherTold()]);
  const listRaw = (): string[] => stderr.split("\n").slice(0, -1);
  const listTold = (): string[] => listRaw().map(readMessage);
  const exited = gathered.then(() => child.exited);
  return {
    pid: child.pid,
    get stdout() {
      return stdout;
    },
    get told() {
      return listTold();
    },
    get toldRaw() {
      return listRaw();
    },
    async untilTold(part) {
      const look = (): string | undefined => listTold().find((line) => line.includes(part));
      const line = await waitFor(
        () => look() ?? (child.exitCode !== null && "gone"),
        () => `${String(command[0])} to say ${part}; it said: ${stderr}`,
      );
      if (line !== "gone") return line;
      await exited;
      const last = look();
      if (last === undefined) throw new Error(`${String(command[0])} ended with ${child.exitCode}: ${stderr}${stdout}`);
      return last;
    },
    signal: (name) => child.kill(name),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
