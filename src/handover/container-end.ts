import { readFileSync } from "node:fs";

/** What tells whether the processes after this one would end with it. Command lines are as in proc(5): each part ends with a NUL. */
export interface ProcessPlace {
  readonly pid: number;
  /** 0: the parent is outside of this namespace of process ids. */
  readonly parent: number;
  readonly command: string;
  /** The command line of process 1; empty when it cannot be read. */
  readonly firstCommand: string;
}

const INSTEAD =
  "of its container, which would end with it, and the new process too. Start another container, and drain this one.";

/** Why a process that takes over would not live on; undefined when it would. */
export function findContainerEnd(place: ProcessPlace = readPlace()): string | undefined {
  const { pid, parent, command, firstCommand } = place;
  // The system ends all processes of a container with the first one.
  if (pid === 1) return `The proxy is process 1 ${INSTEAD}`;
  // A container that shares process ids with others has its own main process. `docker run --init` has one that ends with the program that it was told to run.
  if (parent === 0 || (parent === 1 && command !== "" && firstCommand.endsWith(`\0${command}`)))
    return `The proxy is the main process ${INSTEAD}`;
  return undefined;
}

function readPlace(): ProcessPlace {
  const { pid, ppid: parent } = process;
  return { pid, parent, command: readCommand("self"), firstCommand: readCommand("1") };
}

function readCommand(process: string): string {
  try {
    return readFileSync(`/proc/${process}/cmdline`, "latin1");
  } catch {
    return "";
  }
}
