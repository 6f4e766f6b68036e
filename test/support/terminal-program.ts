import { TerminalEmulator } from "./terminal-emulator.ts";
import { waitFor } from "./wait-for.ts";

/** A program on a pseudo-terminal, and what a person would see there. */
export interface TerminalProgram extends AsyncDisposable {
  readonly pid: number;
  readonly screen: TerminalEmulator;
  /** Everything that it wrote. */
  readonly output: () => string;
  type(text: string): void;
  resize(columns: number, rows: number): void;
  signal(name: NodeJS.Signals): void;
  /** Resolves once a line of the screen matches. */
  untilShown(pattern: RegExp): Promise<void>;
  readonly exited: Promise<number>;
}

export function startOnTerminal(
  command: readonly string[],
  {
    columns = 80,
    rows = 24,
    env = {},
    cwd,
  }: { columns?: number; rows?: number; env?: Record<string, string>; cwd?: string } = {},
): TerminalProgram {
  const screen = new TerminalEmulator(columns, rows);
  const decoder = new TextDecoder();
  let output = "";
  const child = Bun.spawn([...command], {
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm-256color", ...env },
    ...(cwd !== undefined && { cwd }),
    terminal: {
      cols: columns,
      rows,
      data: (_, bytes) => {
        output += decoder.decode(bytes, { stream: true });
        screen.write(bytes);
      },
    },
  });
  const { terminal } = child;
  if (terminal === undefined) throw new Error("There is no pseudo-terminal.");
  return {
    pid: child.pid,
    screen,
    output: () => output,
    type: (text) => void terminal.write(text),
    resize: (toColumns, toRows) => {
      screen.resize(toColumns, toRows);
      terminal.resize(toColumns, toRows);
    },
    signal: (name) => void process.kill(child.pid, name),
    untilShown: async (pattern) => {
      const shown = (): boolean => screen.lines.some((line) => pattern.test(line));
      await waitFor(shown, `${pattern} on the screen, which is\n${screen.lines.join("\n")}`, 60_000);
    },
    exited: child.exited,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
      terminal.close();
    },
  };
}
