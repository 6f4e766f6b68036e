import { rmSync } from "node:fs";
import { findFreePort } from "../bench/peer.ts";
import { expectProgram, type RunningProgram, startProgram } from "./program.ts";
import { makeFolder } from "./temporary-folder.ts";
import { untilServing } from "./upstream-programs.ts";

/** Debian's Redis on a port of loopback. */
export interface RedisServer extends AsyncDisposable {
  readonly port: number;
  /** Runs a command with redis-cli, and gives what it prints. */
  run(...words: readonly string[]): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** Ends it at once. Nothing is saved. */
  kill(): Promise<void>;
  /** Starts it again, empty, on the same port. */
  restart(): Promise<void>;
}

/** Files of TLS for a server that speaks nothing else. */
export interface RedisTls {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

/** Starts Redis without its file. `settings` are words of its command line. */
export async function openRedis(settings: readonly string[] = [], tls?: RedisTls): Promise<RedisServer> {
  const folder = await makeFolder();
  const port = findFreePort();
  const ports = tls
    ? ["--port", "0", "--tls-port", String(port), "--tls-cert-file", tls.certFile, "--tls-key-file", tls.keyFile]
    : ["--port", String(port)];
  const more = tls ? ["--tls-ca-cert-file", tls.caFile, "--tls-auth-clients", "no"] : [];
  const start = async (): Promise<RunningProgram> => {
    const program = startProgram(
      ["redis-server", "--bind", "127.0.0.1", ...ports, ...more, "--save", "", "--dir", folder.path, ...settings],
      { cwd: folder.path },
    );
    await untilServing(port, program);
    return program;
  };
  let program = await start();
  const cli = ["redis-cli", "-p", String(port), ...(tls ? ["--tls", "--cacert", tls.caFile] : [])];
  return {
    port,
    run: (...words) => expectProgram([cli, words]).then((text) => text.trim()),
    signal: (name) => program.signal(name),
    async kill() {
      program.signal("SIGKILL");
      await program.exited;
    },
    async restart() {
      program.signal("SIGKILL");
      await program.exited;
      program = await start();
    },
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      rmSync(folder.path, { recursive: true, force: true });
    },
  };
}
