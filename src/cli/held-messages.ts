import { formatJson } from "../escape-text.ts";
import { type CliIo, exitCodes } from "./io.ts";

/** Messages that are kept until the end; of more the last ones. */
const MAX_HELD = 500;

const failureWords: Readonly<Record<number, string>> = {
  [exitCodes.failure]: "failure",
  [exitCodes.usage]: "usage",
  [exitCodes.configuration]: "configuration",
};

interface Holding {
  /** Messages are for a program. */
  readonly json: boolean;
  /** Messages are for nobody, unless the command fails. */
  readonly quiet: boolean;
  /** The command runs until it is told to stop: a message at its end would be late. */
  readonly follows: boolean;
}

/** What a command tells people, held back for `--quiet` and `--json`. */
export class HeldMessages {
  /** What the command is to use. */
  readonly io: CliIo;
  readonly #holding: Holding;
  readonly #tell: CliIo["tell"];
  #held: string[] = [];

  constructor(io: CliIo, holding: Holding) {
    this.#tell = io.tell;
    this.#holding = holding;
    this.io =
      holding.json || holding.quiet
        ? {
            ...io,
            tell: (line) => this.#hold(line),
            showStatus: undefined,
            // Who is asked needs to know what it is about.
            readAnswer: (question) => this.#ask(io.readAnswer, question),
            readPassword: (prompt) => this.#ask(io.readPassword, prompt),
          }
        : io;
  }

  /** Tells what is still to be told, and gives the exit code back. */
  end(code: number): number {
    const messages = this.#held;
    this.#held = [];
    const error = failureWords[code];
    const { json, follows } = this.#holding;
    if (json) {
      // A command that failed without a message has said on standard output what is wrong.
      if (messages.length > 0 || (follows && error !== undefined))
        this.#tell(formatJson({ exitCode: code, ...(error !== undefined && { error }), messages }));
    } else if (code !== exitCodes.ok) this.#show(messages);
    return code;
  }

  #hold(line: string): void {
    const { json, quiet, follows } = this.#holding;
    if (json && follows && !quiet) {
      this.#tell(formatJson({ messages: [line] }));
      return;
    }
    this.#held.push(line);
    if (this.#held.length > MAX_HELD) this.#held.shift();
  }

  #ask<T>(ask: (question: string) => T, question: string): T {
    this.#show(this.#held);
    this.#held = [];
    return ask(question);
  }

  #show(lines: readonly string[]): void {
    for (const line of lines) this.#tell(line);
  }
}
