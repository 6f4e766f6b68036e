import { describe, expect, test } from "bun:test";
import { EventEmitter } from "node:events";

import { readHiddenLine } from "../../../src/cli/read-hidden-line.ts";

/** A terminal that types `chunks` once somebody reads. Knows whether it is left as it was found. */
class FakeTerminal extends EventEmitter {
  raw = false;
  shown = "";
  readonly #chunks: readonly (string | Uint8Array)[];

  constructor(...chunks: (string | Uint8Array)[]) {
    super();
    this.#chunks = chunks;
  }

  setRawMode(raw: boolean): this {
    this.raw = raw;
    return this;
  }

  resume(): this {
    queueMicrotask(() => {
      for (const chunk of this.#chunks) this.emit("data", Buffer.from(chunk as string));
    });
    return this;
  }

  pause(): this {
    return this;
  }

  write(text: string): boolean {
    this.shown += text;
    return true;
  }
}

async function read(...chunks: (string | Uint8Array)[]) {
  const terminal = new FakeTerminal(...chunks);
  const line = await readHiddenLine(terminal, terminal, "Password: ");
  return { line, shown: terminal.shown, left: [terminal.raw, terminal.listenerCount("data")] };
}

describe("readHiddenLine()", () => {
  test("shows nothing of what is typed and leaves the terminal as it was", async () => {
    expect(await read("se", "cret", "\r")).toEqual({ line: "secret", shown: "Password: \n", left: [false, 0] });
  });

  test.each([
    ["a line feed", ["a\n"], "a"],
    ["nothing but return", ["\r"], ""],
    ["a key to erase", ["ab\u007fc\u0008d\r"], "ad"],
    ["more to erase than there is", ["\u007f\u007fa\r"], "a"],
    ["a letter in two chunks", [Uint8Array.of(0xc3), Uint8Array.of(0xbc, 0x0d)], "ü"],
    ["Ctrl-D after some letters", ["ab\u0004"], "ab"],
    ["Ctrl-D", ["\u0004"], undefined],
    ["Ctrl-C", ["ab\u0003"], undefined],
    ["something after the line", ["a\rb"], "a"],
  ])("reads %s", async (_, chunks, line) => {
    expect((await read(...chunks)).line).toBe(line as string);
  });
});
