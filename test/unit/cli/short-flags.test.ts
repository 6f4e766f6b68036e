import { describe, expect, test } from "bun:test";
import { createCommand } from "../../../src/cli/command.ts";
import { readInvocation } from "../../../src/cli/strict.ts";

const args = { output: { type: "string", alias: "o" }, quiet: { type: "boolean", alias: "q" } } as const;
const commands = { write: createCommand({ name: "write", description: "", args, run: () => 0 }) };

function read(...argv: string[]) {
  const invocation = readInvocation(["write", ...argv], commands);
  if (invocation.kind === "run") return Object.fromEntries(invocation.values);
  return invocation.kind === "wrong" ? invocation.message : "help";
}

describe("readInvocation() with short flags", () => {
  test("takes a short flag for its long form", () => {
    expect(read("-o", "file", "-q")).toEqual({ output: ["file"], quiet: ["true"] });
    expect(read("-o=file")).toEqual({ output: ["file"] });
    expect(read("-o", "-")).toEqual({ output: ["-"] });
    expect(read("-h")).toBe("help");
  });

  test("is as strict with them as with the long ones", () => {
    expect(read("-x")).toBe('Unknown flag "-x".');
    expect(read("-")).toBe('Found an argument too many: "write" takes none.');
    expect(read("-ofile")).toStartWith('Unknown flag "-o". Did you mean "--output"?');
    expect(read("-o")).toBe("--output needs a value, as in --output=OUTPUT.");
    expect(read("-o", "a", "--output", "b")).toBe("Found --output twice. Give it once.");
    expect(read("-q=yes")).toBe("--quiet takes no value.");
  });
});
