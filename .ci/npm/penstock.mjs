#!/usr/bin/env node
// Runs the executable of this platform, which an optional dependency has, with the same arguments.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { isatty } from "node:tty";

const system = process.platform === "win32" ? "windows" : process.platform;
const usesMusl = system === "linux" && process.report.getReport().header.glibcVersionRuntime === undefined;
const name = `penstock-${system}-${process.arch}${usesMusl ? "-musl" : ""}`;

function findExecutable() {
  try {
    return createRequire(import.meta.url).resolve(`${name}/bin/penstock${system === "windows" ? ".exe" : ""}`);
  } catch {
    return undefined;
  }
}

const executable = findExecutable();
if (executable === undefined) {
  process.stderr.write(
    `The package "${name}" is not installed. It is an optional dependency of "penstock": install without --omit=optional, on a platform that Penstock is built for.\n`,
  );
  process.exit(1);
}

const child = spawn(executable, process.argv.slice(2), { stdio: "inherit" });
// A terminal sends these to the whole group: a second one would end the proxy at once.
const ofTerminal = new Set([0, 1, 2].some((descriptor) => isatty(descriptor)) ? ["SIGINT", "SIGHUP"] : []);
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
  if (system === "windows" && signal.startsWith("SIGUSR")) continue;
  process.on(signal, () => {
    if (!ofTerminal.has(signal)) child.kill(signal);
  });
}
child.on("error", (error) => {
  process.stderr.write(`Cannot run ${executable}: ${error.message}\n`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
