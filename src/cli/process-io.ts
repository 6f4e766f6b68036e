import { stderr, stdin, stdout } from "node:process";

import type { CliIo } from "./io.ts";
import { readHiddenLine } from "./read-hidden-line.ts";

/** The world as this process sees it. */
export function createProcessIo(): CliIo {
  return {
    folder: process.cwd(),
    variables: process.env,
    terminal: stdout.isTTY,
    interactive: stdin.isTTY,
    print: writeOut,
    accessSink: writeOut,
    tell: (line) => void stderr.write(`${line}\n`),
    readPassword: (prompt) => (stdin.isTTY ? readHiddenLine(stdin, stderr, prompt) : readPiped()),
    onStopSignal(listener) {
      process.on("SIGTERM", listener);
      process.on("SIGINT", listener);
      return () => {
        process.off("SIGTERM", listener);
        process.off("SIGINT", listener);
      };
    },
  };
}

/** Resolves when the text is written, so that nothing is lost when the process ends. */
async function writeOut(text: string): Promise<void> {
  try {
    await Bun.write(Bun.stdout, text);
  } catch {
    // Whoever read our output is gone. That is no reason to stop serving.
  }
}

/** The whole of standard input less the line break at its end. */
async function readPiped(): Promise<string> {
  return (await Bun.stdin.text()).replace(/\r?\n$/, "");
}
