import { join } from "node:path";
import { mkdir } from "node:fs/promises";
import { type CommandLine, expectProgram, findProgram, makeEnvironment, type Ran, startProgram } from "./program.ts";
import { makeFolder } from "./temporary-folder.ts";
import { reserveClosedPort } from "./unreachable.ts";
import { untilServing } from "./upstream-programs.ts";

/** A real sshd with keys of its own, on a free loopback port. */
export interface SshServer extends AsyncDisposable {
  readonly port: number;
  /** Arguments that make `ssh` trust it and log in, in vain or not. */
  readonly clientArgs: readonly string[];
  /** `user@host` of the one who may log in. */
  readonly login: string;
}

export async function startSshd(): Promise<SshServer> {
  const port = await reserveClosedPort();
  const folder = await makeFolder();
  const file = (name: string) => join(folder.path, name);
  const user = (await expectProgram(["id", "-un"])).trim();
  for (const name of ["host", "client"])
    await expectProgram(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file(name)]);
  // Started by root it insists on an empty folder of this name.
  if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  await folder.write({
    sshd_config: [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${file("host")}`,
      `AuthorizedKeysFile ${file("client.pub")}`,
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "PidFile none",
      "",
    ].join("\n"),
    known_hosts: `[127.0.0.1]:${port} ${await folder.read("host.pub")}`,
  });
  // It starts itself again for each connection, for which it has to know where it is.
  const program = startProgram([findProgram("sshd") ?? "sshd", "-D", "-e", "-f", file("sshd_config")]);
  await untilServing(port, program);
  return {
    port,
    login: `${user}@127.0.0.1`,
    clientArgs: [
      ["-F", "none", "-p", String(port), "-i", file("client"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"],
      ["-o", `UserKnownHostsFile=${file("known_hosts")}`, "-o", "StrictHostKeyChecking=yes"],
    ].flat(),
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/**
 * Runs a program at a terminal where somebody types `answer` whenever `prompt`
 * is shown. Everything that is shown is in `stdout`, with line feeds alone.
 */
export async function runAtTerminal(command: CommandLine, prompt: string, answer: string): Promise<Ran> {
  let shown = "";
  let answered = 0;
  const text = new TextDecoder();
  const child = Bun.spawn(command.flat(), {
    env: makeEnvironment({ TERM: "dumb" }),
    timeout: 60_000,
    terminal: {
      data(terminal, chunk) {
        shown += text.decode(chunk, { stream: true });
        const prompts = shown.split(prompt).length - 1;
        for (; answered < prompts; answered += 1) terminal.write(`${answer}\n`);
      },
    },
  });
  const code = await child.exited;
  child.terminal?.close();
  return { code, stdout: shown.replaceAll("\r\n", "\n"), stderr: "" };
}
