/** What is needed of a terminal to read from it. */
export interface TerminalInput {
  setRawMode(raw: boolean): unknown;
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  off(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

/** What is needed of a terminal to write to it. */
export interface TerminalOutput {
  write(text: string): unknown;
}

/** What ends or edits the line in raw mode. */
const INTERRUPT = "\u0003";
const END = "\u0004";
const ERASE = ["\u007f", "\b"];

/** Reads a line from a terminal without showing it. Undefined after Ctrl-C, or Ctrl-D on an empty line. */
export function readHiddenLine(
  input: TerminalInput,
  output: TerminalOutput,
  prompt: string,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const typed: string[] = [];
    const decoder = new TextDecoder();
    const finish = (line: string | undefined) => {
      input.off("data", take);
      input.setRawMode(false);
      input.pause();
      output.write("\n");
      resolve(line);
    };
    const take = (chunk: Uint8Array) => {
      for (const character of decoder.decode(chunk, { stream: true })) {
        if (character === "\r" || character === "\n") return finish(typed.join(""));
        if (character === INTERRUPT) return finish(undefined);
        if (character === END) return finish(typed.length === 0 ? undefined : typed.join(""));
        if (ERASE.includes(character)) typed.pop();
        else typed.push(character);
      }
    };
    output.write(prompt);
    input.setRawMode(true);
    input.on("data", take);
    input.resume();
  });
}

/** Reads a line from a terminal that shows and edits it. Undefined at the end of the input. */
export function readLine(
  input: Pick<TerminalInput, "on" | "off" | "resume" | "pause">,
  output: TerminalOutput,
  question: string,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const decoder = new TextDecoder();
    let typed = "";
    const take = (chunk: Uint8Array): void => {
      typed += decoder.decode(chunk, { stream: true });
      // The terminal hands over whole lines, and nothing at all for Ctrl-D.
      if (chunk.length > 0 && !/[\r\n]/.test(typed)) return;
      input.off("data", take);
      input.pause();
      resolve(typed === "" ? undefined : typed.replace(/[\r\n].*$/s, ""));
    };
    output.write(question);
    input.on("data", take);
    input.resume();
  });
}
