import type { Tell } from "../operator-message.ts";
import type { StartSuccessor } from "../handover/handover.ts";
import type { LogSink } from "../proxy/record/access-log.ts";
import type { Screen, ScreenListeners } from "./process-screen.ts";

/** The machine that a command finds itself on. */
export interface Machine {
  /** Where the configuration of an installed service is; undefined where there are no services of this kind. */
  readonly configFolder: string | undefined;
  /** The folder that is the root of the system: accounts and units are below it. */
  readonly root: string;
  /** Whether this process may read everything. */
  readonly isRoot: boolean;
}

/** The environment of a command. Commands return an exit code and never end the process. */
export interface CliIo {
  /** The working folder, absolute. */
  readonly folder: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly machine: Machine;
  /** Whether standard output is a terminal. */
  readonly terminal: boolean;
  /** Columns of the terminal that standard output is. */
  readonly columns?: number | undefined;
  /** Writes a result to standard output, as it is. False once nobody reads it any more. */
  readonly print: (text: string | Uint8Array) => Promise<boolean>;
  /** Why a result could not be written, though its reader is there: the errno word, such as `ENOSPC`. */
  readonly printFault?: () => string | undefined;
  /** Tells a person something: one line on standard error. Characters that must not reach a terminal are escaped. */
  readonly tell: (line: string) => void;
  /**
   * Shows what is going on in the last line of standard error, in place of what it showed
   * before; an empty text takes it away. Undefined where that is no terminal, or nobody wants it.
   */
  readonly showStatus?: ((text: string) => void) | undefined;
  /** Tells a detail that only `--verbose` asks for; absent without it. */
  readonly note?: (line: string) => void;
  /** As `tell`, for what runs for long: with the time and the level. */
  readonly report: Tell;
  /** Where access lines go. */
  readonly accessSink: LogSink;
  /** Asks for a password; without echo from a terminal, else the whole of standard input. Undefined when the person cancelled. */
  readonly readPassword: (prompt: string) => Promise<string | undefined>;
  /** Asks a person at the terminal, and gives the line that they type; undefined where there is nobody. */
  readonly readAnswer: (question: string) => Promise<string | undefined>;
  /** Takes the whole terminal for a picture that moves; undefined where standard input or output is no terminal. */
  readonly openScreen: (listeners: ScreenListeners) => Screen | undefined;
  /** Whether `readPassword` asks a person, who can make typing errors. */
  readonly interactive: boolean;
  /** Calls `listener` at each SIGTERM and SIGINT until the returned function is called. */
  readonly onStopSignal: (listener: (signal: string) => void) => () => void;
  /** The same for SIGHUP, SIGUSR1 and SIGUSR2, which end the process while nobody listens. */
  readonly onOtherSignal: (listener: (signal: string) => void) => () => void;
  /** Starts this program again, as it was started, to take over from this process. */
  readonly startSuccessor: StartSuccessor;
  /**
   * Calls `listener` with every error that nothing caught, until the returned
   * function is called. While nobody listens, such an error ends the process.
   */
  readonly onBug: (listener: (error: unknown) => void) => () => void;
}

/** Exit codes of the program. 78 is EX_CONFIG of sysexits.h. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  configuration: 78,
} as const;

/** Says how a command ends, and gives its exit code. */
export function endWith(io: Pick<CliIo, "tell">, message: string, code: number): number {
  io.tell(message);
  return code;
}
