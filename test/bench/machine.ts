import { cpus, release, totalmem } from "node:os";
import { findProgram } from "./peer.ts";

/** The machine in one line. */
export function machineLine(): string {
  return `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${release()}, Bun ${Bun.version}`;
}

/** The first line that a command says of itself; a dash when there is no command. */
export function readVersion(command: readonly string[] | undefined): string {
  const [program, ...args] = command ?? [];
  if (program === undefined) return "–";
  const { exitCode, stdout, stderr } = Bun.spawnSync([findProgram(program) ?? program, ...args]);
  if (exitCode !== 0) return "unknown";
  return (stdout.toString() || stderr.toString()).split("\n", 1)[0]?.trim() ?? "–";
}
