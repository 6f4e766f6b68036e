import { readFile } from "node:fs/promises";
import { findExecutable } from "./build-executable.ts";
import { type ProgramOptions, type Ran, runProgram, type RunningProgram, startProgram } from "./program.ts";
import { waitFor } from "./wait-for.ts";

export interface ExecutableOptions extends ProgramOptions {
  readonly args?: readonly string[];
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
  const program = startProgram([await findExecutable(), ...(options.args ?? [])], options);
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
  };
}

function readPort(line: string): number {
  return Number(/:([0-9]+)\.$/.exec(line)?.[1]);
}
