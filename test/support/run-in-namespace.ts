import { findExecutable } from "./build-executable.ts";
import { makeEnvironment } from "./program.ts";

/**
 * Runs a program of tests within namespaces of its own (`-n` for the network, `-m`
 * for mounts, `-p` for processes, which end with it), where it is root, with the executable at hand. Gives what it prints as JSON.
 */
export async function runInNamespace<Result>(
  runner: string,
  namespaces: readonly ("-n" | "-m" | "-p")[],
  ...args: readonly string[]
): Promise<Result> {
  const flags = process.geteuid?.() === 0 ? namespaces : ["-r", ...namespaces];
  const processes = namespaces.includes("-p") ? ["--fork", "--kill-child", "--mount-proc"] : [];
  const child = Bun.spawn(["unshare", ...flags, ...processes, process.execPath, runner, ...args], {
    stdout: "pipe",
    stderr: "pipe",
    env: makeEnvironment({ TEST_EXECUTABLE: await findExecutable() }),
  });
  const [out, told] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`${runner} failed: ${told}`);
  return JSON.parse(out) as Result;
}
