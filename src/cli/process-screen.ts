import { writeSync } from "node:fs";
import { stdin, stdout } from "node:process";

/** What a program on the whole terminal hears. */
export interface ScreenListeners {
  /** What was typed, as the terminal sends it. */
  readonly typed: (text: string) => void;
  /** The picture has to be drawn anew: the size is another one, or somebody else has written. */
  readonly redraw: () => void;
  /** The terminal is gone, or it is time to leave it. */
  readonly lost: () => void;
}

/** The whole terminal. */
export interface Screen {
  readonly size: () => { readonly columns: number; readonly rows: number };
  /** Writes to the terminal; false while it has not taken what was written before, which is then left out. */
  write(text: string): boolean;
  /** Gives the terminal back to the shell until the process goes on. */
  suspend(): void;
  /** Gives the terminal back as it was. */
  close(): void;
}

/** The other screen, where the lines above stay as they are; no cursor; no line that goes on in the next one. */
const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J";
const LEAVE = "\u001b[0m\u001b[?7h\u001b[?25h\u001b[?1049l";

/**
 * Takes the terminal of this process. It gets it back when `close` is called, when
 * the process stops (SIGTSTP, SIGSTOP of ours), and at the latest when it ends.
 */
export function openProcessScreen({ typed, redraw, lost }: ScreenListeners): Screen | undefined {
  if (!stdin.isTTY || !stdout.isTTY) return undefined;
  const decoder = new TextDecoder();
  let isOpen = false;
  let isBusy = false;
  const take = (chunk: Uint8Array): void => typed(decoder.decode(chunk, { stream: true }));
  const enter = (): void => {
    isOpen = true;
    stdin.setRawMode(true);
    stdout.write(ENTER);
  };
  const leave = (): void => {
    if (!isOpen) return;
    isOpen = false;
    writeNow(LEAVE);
    try {
      stdin.setRawMode(false);
    } catch {
      // The terminal is gone.
    }
  };
  const suspend = (): void => {
    // No shell would have the program go on.
    if (process.platform === "win32") return redraw();
    leave();
    // SIGTSTP would come back to our own listener.
    process.kill(process.pid, "SIGSTOP");
  };
  /** Also after a SIGSTOP from elsewhere, which nothing hears. */
  const goOn = (): void => {
    leave();
    enter();
    redraw();
  };
  const listeners: readonly (readonly [signal: NodeJS.Signals, listener: () => void])[] = [
    ["SIGWINCH", redraw],
    ["SIGTSTP", suspend],
    ["SIGCONT", goOn],
    ["SIGQUIT", lost],
  ];
  for (const [signal, listener] of listeners) process.on(signal, listener);
  process.on("exit", leave);
  stdout.on("error", lost);
  stdin.on("error", lost).on("end", lost).on("data", take);
  enter();
  stdin.resume();
  return {
    size: () => {
      const [columns, rows] = stdout.getWindowSize();
      return { columns, rows };
    },
    write: (text) => {
      if (!isOpen || isBusy) return false;
      isBusy = true;
      stdout.write(text, () => (isBusy = false));
      return true;
    },
    suspend,
    close: () => {
      for (const [signal, listener] of listeners) process.off(signal, listener);
      process.off("exit", leave);
      stdin.off("data", take).off("end", lost);
      leave();
      stdin.pause();
    },
  };
}

/** Writes what must be out before the process stops or ends. */
function writeNow(text: string): void {
  try {
    writeSync(1, text);
  } catch {
    // The terminal is gone, or it takes nothing: there is nothing to restore.
  }
}
