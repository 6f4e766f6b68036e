import { readdir, readFile } from "node:fs/promises";
import { findExecutable } from "./build-executable.ts";
import { type ProgramOptions, type Ran, runProgram, type RunningProgram, startProgram } from "./program.ts";
import { waitFor } from "./wait-for.ts";

export interface ExecutableOptions extends ProgramOptions {
  readonly args?: readonly string[];
  /** How many descriptors it may have open at once; as many as this process when absent. */
  readonly descriptors?: number;
  /** Programs before it on the command line, which run the rest of it. */
  readonly within?: readonly string[];
}

/** The executable, serving. */
export interface ServingExecutable extends RunningProgram {
  /** Port of the first listener. */
  readonly port: number;
  /** Ports of all listeners, in the order of the configuration. */
  readonly ports: readonly number[];
  /** Access records so far, in order. */
  readonly records: Record<string, unknown>[];
  /** The first access record that `matches`, once it is written. */
  record(matches?: (record: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  /** `http://host:port` of the sidecar. */
  sidecarUrl(): Promise<string>;
  /** Its memory in RAM now, in bytes. */
  readRss(): Promise<number>;
  /** CPU time that it has used, in milliseconds. */
  readonly readCpuMs: () => Promise<number>;
  /** Descriptors that it has open. */
  countDescriptors(): Promise<number>;
}

/** Runs a command of the executable to its end. */
export async function runExecutable(
  args: readonly string[],
  options: ProgramOptions & { readonly cwd: string },
): Promise<Ran> {
  return runProgram([await findExecutable(), ...args], options);
}

/** Starts the executable and waits until it listens. */
export async function startExecutable(
  options: ExecutableOptions & { readonly cwd: string },
): Promise<ServingExecutable> {
  const limited =
    options.descriptors === undefined ? [] : ["sh", "-c", `ulimit -n ${options.descriptors} && exec "$0" "$@"`];
  const program = startProgram(
    [options.within ?? [], limited, await findExecutable(), ...(options.args ?? [])],
    options,
  );
  let line: string;
  try {
    line = await program.untilTold("Listening on ");
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
  const listRecords = (): Record<string, unknown>[] =>
    program.stdout
      .split("\n")
      .slice(0, -1)
      .map((text) => JSON.parse(text) as Record<string, unknown>);
  return {
    ...program,
    get stdout() {
      return program.stdout;
    },
    get told() {
      return program.told;
    },
    get toldRaw() {
      return program.toldRaw;
    },
    port: readPort(line),
    get ports() {
      return program.told.filter((told) => told.startsWith("Listening on ")).map(readPort);
    },
    get records() {
      return listRecords();
    },
    record: (matches = () => true) => waitFor(() => listRecords().find(matches), "an access record"),
    async sidecarUrl() {
      const told = await program.untilTold("Sidecar on ");
      return told.slice("Sidecar on ".length, -1);
    },
    async readRss() {
      const status = await readFile(`/proc/${program.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1]) * 1024;
    },
    async readCpuMs() {
      const stat = await readFile(`/proc/${program.pid}/stat`, "latin1");
      // After the name, which may contain anything, the 12th and 13th field: proc(5).
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      // In ticks of a hundredth of a second.
      return (Number(fields[11]) + Number(fields[12])) * 10;
    },
    countDescriptors: async () => (await readdir(`/proc/${program.pid}/fd`)).length,
  };
}

function readPort(line: string): number {
  return Number(/:([0-9]+)\.$/.exec(line)?.[1]);
}
