import type { CliIo } from "../../src/cli/io.ts";

/** A world for a command that a test can look into. */
export interface FakeIo extends CliIo {
  /** Everything printed to standard output. */
  readonly printed: () => string;
  /** The lines told on standard error. */
  readonly told: string[];
  /** Resolves with the first line told that holds `part`, told already or still to come. */
  readonly untilTold: (part: string) => Promise<string>;
  /** Sends a signal to whoever listens. */
  readonly signal: (name: string) => void;
  /** Throws where nobody catches. */
  readonly bug: (error: unknown) => void;
}

/** Makes a world; `passwords` and `answers` are what a person types, one after the other. */
export function createFakeIo(
  parts: Partial<CliIo> & { passwords?: (string | undefined)[]; answers?: string[] } = {},
): FakeIo {
  const { passwords = [], answers = [], ...rest } = parts;
  const told: string[] = [];
  const listeners = new Set<(signal: string) => void>();
  const others = new Set<(signal: string) => void>();
  const bugs = new Set<(error: unknown) => void>();
  const waiting = new Set<() => void>();
  let printed = "";
  const tell = (line: string): void => {
    told.push(line);
    for (const wake of waiting) wake();
  };
  return {
    folder: "/nonexistent",
    variables: {},
    machine: { configFolder: undefined, root: "/nonexistent", isRoot: false },
    terminal: false,
    interactive: true,
    print: (text) => {
      printed += typeof text === "string" ? text : Buffer.from(text).toString("latin1");
      return Promise.resolve(true);
    },
    tell,
    report: tell,
    accessSink: () => {},
    readPassword: () => Promise.resolve(passwords.shift()),
    readAnswer: (question) => {
      told.push(question);
      return Promise.resolve(answers.shift());
    },
    openScreen: () => undefined,
    onStopSignal: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onOtherSignal: (listener) => {
      others.add(listener);
      return () => others.delete(listener);
    },
    startSuccessor: () => "There is no program to start.",
    onBug: (listener) => {
      bugs.add(listener);
      return () => bugs.delete(listener);
    },
    ...rest,
    printed: () => printed,
    told,
    untilTold: (part) =>
      new Promise((resolve) => {
        const look = () => {
          const line = told.find((each) => each.includes(part));
          if (line === undefined) return;
          waiting.delete(look);
          resolve(line);
        };
        waiting.add(look);
        look();
      }),
    signal: (name) => {
      for (const listener of name === "SIGTERM" || name === "SIGINT" ? listeners : others) listener(name);
    },
    bug: (error) => {
      for (const listener of bugs) listener(error);
    },
  };
}
