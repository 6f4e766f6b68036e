import { fstatSync } from "node:fs";
import { stderr, stdin, stdout } from "node:process";

import { DescriptorWriter } from "../net/libc/descriptor-writer.ts";
import { FatalError } from "../net/conn/throw-later.ts";
import { describeThrown } from "../proxy/hook/describe-thrown.ts";
import { escapeText } from "../escape-text.ts";
import { type MessageForm, type Tell, writePrefix } from "../operator-message.ts";
import { HeldSignals } from "./held-signals.ts";
import { type CliIo, exitCodes } from "./io.ts";
import { createStarter, readOwnCommand } from "./start-successor.ts";
import { openProcessScreen } from "./process-screen.ts";
import { readHiddenLine, readLine } from "./read-hidden-line.ts";

/** Bytes of messages that may wait for a slow reader of standard error. Further messages are dropped and counted. */
const MESSAGE_BYTES = 256 * 1024;

/** The access log hands over one batch at a time and limits what waits. */
const ACCESS_BYTES = Infinity;

/** Connects commands to this process. `end` ends it; `held` are signals that may have come already. */
export function createProcessIo(end: (code: number) => never, held = new HeldSignals([])): CliIo {
  const access = new DescriptorWriter(1, { limitBytes: ACCESS_BYTES });
  const write = createWriter();
  const tell = (line: string): void => write("", line);
  const form = findForm();
  const report: Tell = (message, level) => write(writePrefix(form, level, new Date()), message);
  return {
    folder: process.cwd(),
    variables: process.env,
    terminal: stdout.isTTY,
    columns: stdout.isTTY ? stdout.columns : undefined,
    interactive: stdin.isTTY,
    print: writeOut,
    accessSink: (text) => access.write(text),
    tell,
    report,
    readPassword: (prompt) => (stdin.isTTY ? readHiddenLine(stdin, stderr, escapeText(prompt)) : readPiped()),
    readAnswer: (question) =>
      stdin.isTTY ? readLine(stdin, stderr, escapeText(question)) : Promise.resolve(undefined),
    openScreen: openProcessScreen,
    onStopSignal: (listener) => held.listen(["SIGTERM", "SIGINT"], listener),
    onOtherSignal: (listener) => held.listen(["SIGHUP", "SIGUSR1", "SIGUSR2"], listener),
    startSuccessor: createStarter(readOwnCommand()),
    onBug: listenToBugs({ tell, report }, end),
  };
}

/** How messages begin: as systemd's journal wants them when it reads standard error (systemd.exec(5)), else with their time. */
function findForm(): MessageForm {
  const { JOURNAL_STREAM: journal = "" } = process.env;
  try {
    const { dev, ino } = fstatSync(2, { bigint: true });
    if (journal === `${dev}:${ino}`) return "journal";
  } catch {
    // Standard error is closed.
  }
  return stderr.isTTY ? "terminal" : "plain";
}

/** Writes lines, and never waits for whoever reads standard error. */
function createWriter(): (prefix: string, line: string) => void {
  const writer = new DescriptorWriter(2, { limitBytes: MESSAGE_BYTES });
  let lost = 0;
  return (prefix, line) => {
    const before = lost === 0 ? "" : `${prefix}${lost} messages were left out: they were not read in time.\n`;
    const written = writer.write(`${before}${prefix}${escapeText(line)}\n`);
    // The message about lost messages can be lost as well.
    if (written === undefined) lost += 1;
    else {
      lost = 0;
      written.catch(() => {});
    }
  };
}

/**
 * Receives uncaught errors. The runtime's own report has lines of source and
 * values of variables, which may be secrets.
 */
function listenToBugs({ tell, report }: Pick<CliIo, "tell" | "report">, end: (code: number) => never): CliIo["onBug"] {
  const fail = (error: unknown): never => {
    const message = `Penstock failed: ${describeThrown(error)}.`;
    if (listener === undefined) tell(message);
    else report(message, "error");
    return end(exitCodes.failure);
  };
  let listener: ((error: unknown) => void) | undefined;
  const hear = (error: unknown): void => {
    if (listener === undefined || error instanceof FatalError) fail(error);
    else listener(error);
  };
  process.on("uncaughtException", hear);
  process.on("unhandledRejection", hear);
  // The runtime's own listener prints.
  process.removeAllListeners("warning");
  process.on("warning", (warning) => listener?.(warning));
  return (next) => {
    listener = next;
    return () => {
      listener = undefined;
    };
  };
}

/** Resolves when the text is written, so that nothing is lost when the process ends; with false when the reader has closed standard output. */
async function writeOut(text: string): Promise<boolean> {
  // Bun.write empties a file that gets no bytes, with all that was in it before.
  if (text === "") return true;
  try {
    await Bun.write(Bun.stdout, text);
    return true;
  } catch {
    return false;
  }
}

/** The whole of standard input less the line break at its end. */
async function readPiped(): Promise<string> {
  return (await Bun.stdin.text()).replace(/\r?\n$/, "");
}
