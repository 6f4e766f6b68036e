import { fstatSync } from "node:fs";
import { stderr, stdin, stdout } from "node:process";

import { SYSTEM_FOLDER } from "../config/find-config-file.ts";
import { DescriptorWriter } from "../net/libc/descriptor-writer.ts";
import { readErrorCode } from "../error-code.ts";
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

/** The access log hands over one batch at a time and limits what waits; a command waits until its result is written. */
const OUT_BYTES = Infinity;

/** Connects commands to this process. `end` ends it; `held` are signals that may have come already. */
export function createProcessIo(end: (code: number) => never, held = new HeldSignals([])): CliIo {
  const out = new DescriptorWriter(1, { limitBytes: OUT_BYTES });
  let printFault: string | undefined;
  const { write, showStatus } = createWriter();
  const tell = (line: string): void => write("", line);
  const form = findForm();
  const report: Tell = (message, level) => write(writePrefix(form, level, new Date()), message);
  return {
    folder: process.cwd(),
    variables: process.env,
    machine: {
      // Everybody may make that folder on Windows.
      configFolder: process.platform === "win32" ? undefined : SYSTEM_FOLDER,
      root: "/",
      isRoot: process.geteuid?.() === 0,
    },
    terminal: stdout.isTTY,
    columns: stdout.isTTY ? stdout.columns : undefined,
    interactive: stdin.isTTY,
    print: (text) => writeOut(out, text, (code) => (printFault ??= code)),
    printFault: () => printFault,
    accessSink: (text) => out.write(text),
    tell,
    showStatus,
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

/** Takes away what the last line of a terminal has (ECMA-48 EL). */
const CLEAR_LINE = "\r\u001b[K";

interface Writer {
  readonly write: (prefix: string, line: string) => void;
  readonly showStatus: CliIo["showStatus"];
}

/** Writes lines, and never waits for whoever reads standard error. */
function createWriter(): Writer {
  const writer = new DescriptorWriter(2, { limitBytes: MESSAGE_BYTES });
  let lost = 0;
  let status = "";
  const write: Writer["write"] = (prefix, line) => {
    const before = lost === 0 ? "" : `${prefix}${lost} messages were left out: they were not read in time.\n`;
    const clear = status === "" ? "" : CLEAR_LINE;
    const written = writer.write(`${clear}${before}${prefix}${escapeText(line)}\n${status}`);
    // The message about lost messages can be lost as well.
    if (written === undefined) lost += 1;
    else {
      lost = 0;
      written.catch(() => {});
    }
  };
  const showStatus = (text: string): void => {
    if (text === "" && status === "") return;
    // One line: a longer one could not be taken away.
    status = Bun.sliceAnsi(escapeText(text), 0, Math.max(1, (stderr.columns || 80) - 1));
    writer.write(`${CLEAR_LINE}${status}`)?.catch(() => {});
  };
  const canShow = stderr.isTTY && process.env["TERM"] !== "dumb";
  return { write, showStatus: canShow ? showStatus : undefined };
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

/**
 * Resolves when the text is written, so that nothing is lost when the process ends; with false when the reader has
 * closed standard output, or it cannot be written, which `fail` is told. Not by `Bun.write`: it repeats the first 64 KiB where a pipe is full for a while.
 */
async function writeOut(
  writer: DescriptorWriter,
  text: string | Uint8Array,
  fail: (code: string) => void,
): Promise<boolean> {
  if (text.length === 0) return true;
  try {
    await writer.write(text);
    return true;
  } catch (error) {
    const code = readErrorCode(error);
    if (code !== undefined && !UNREAD.has(code)) fail(code);
    return false;
  }
}

/** Errors of standard output that nobody reads: the reader has closed it, or it was closed from the beginning. */
const UNREAD: ReadonlySet<string> = new Set(["EPIPE", "EBADF", "ECONNRESET"]);

/** The whole of standard input less the line break at its end. */
async function readPiped(): Promise<string> {
  return (await Bun.stdin.text()).replace(/\r?\n$/, "");
}
