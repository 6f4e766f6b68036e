import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "./peer.ts";

/** How many of each system call, by name. */
export type CallCounts = Readonly<Record<string, number>>;

/** Counts the system calls of a process and its threads with strace, until stopped. Undefined when there is no process or no strace. */
export async function startSystemCallCount(
  pid: number | undefined,
): Promise<{ stop(): Promise<CallCounts> } | undefined> {
  const program = findProgram("strace");
  if (pid === undefined || program === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "penstock-strace-"));
  const file = join(folder, "summary");
  const child = Bun.spawn([program, "-f", "-c", "-o", file, "-p", String(pid)], { stdout: "ignore", stderr: "pipe" });
  // It says "attached" when it counts. What it says later has to be read too: a broken pipe would end it without a summary.
  const attached = Promise.withResolvers<void>();
  void drain(child.stderr, (text) => text.includes("attached") && attached.resolve()).then(attached.resolve);
  await attached.promise;
  return {
    async stop() {
      child.kill("SIGINT");
      await child.exited;
      const text = await Bun.file(file).text();
      await rm(folder, { recursive: true, force: true });
      return parseCallCounts(text);
    },
  };
}

async function drain(stream: ReadableStream<Uint8Array>, hear: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) hear(decoder.decode(chunk, { stream: true }));
}

/** Reads the table that `strace -c` writes. */
export function parseCallCounts(text: string): CallCounts {
  const counts: Record<string, number> = {};
  for (const line of text.split("\n")) {
    // "100.00    0.123456         12     12345       678 name": the errors may be missing.
    const [, calls = "0", name = "total"] = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line) ?? [];
    if (name !== "total") counts[name] = Number(calls);
  }
  return counts;
}
