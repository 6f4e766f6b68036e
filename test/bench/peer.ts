import { rmSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Handshake } from "./load/wire.ts";
import type { Scenario } from "./scenarios.ts";

/** A proxy that the bench compares, and how to run it. */
export interface Peer {
  /** As it stands in the tables. */
  readonly name: string;
  /** How it is asked for a tunnel; undefined when it has none to give. */
  readonly handshake: Handshake | undefined;
  /** Whether it serves absolute-form HTTP requests. */
  readonly forwards: boolean;
  /** What it is measured in; everything that it can do when absent. */
  readonly only?: readonly Scenario["kind"][];
  /** Whether it is what the bench is about, so that its system calls are counted. */
  readonly isPenstock?: boolean;
  /** A command that prints the version, for the report. */
  readonly version?: readonly string[];
  /** Gives what is missing on this machine, or undefined when it can run. */
  findMissing(): string | undefined;
  /** Starts it on a free loopback port; ready to serve when this comes true. */
  start(origin: { readonly port: number }): Promise<RunningPeer>;
}

export interface RunningPeer extends AsyncDisposable {
  readonly port: number;
  /** The process whose tree is measured; undefined for nothing to measure. */
  readonly pid: number | undefined;
  /** Says how it ended, when it should still run. */
  findTrouble?(): Promise<string | undefined>;
}

/** What `startProcess` runs: a command, and the files it reads. */
export interface PeerProcess {
  readonly command: (folder: string) => readonly string[];
  /** Contents by file name in the temporary folder. */
  readonly files?: (folder: string) => Readonly<Record<string, string>>;
  readonly port: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What is to be undone when the bench is interrupted. */
const undoings = new Set<() => void>();

/** Ends every peer at once and removes what it wrote: for an interrupted bench. */
export function endAllPeers(): void {
  for (const undo of undoings) undo();
}

/** Starts a program in a temporary folder and waits until its port accepts. Disposing kills it and removes the folder. */
export async function startProcess(options: PeerProcess): Promise<RunningPeer> {
  const folder = await mkdtemp(join(tmpdir(), "penstock-bench-"));
  // Some peers give up their rights after the start and still write here.
  await chmod(folder, 0o777);
  for (const [name, text] of Object.entries(options.files?.(folder) ?? {})) await Bun.write(join(folder, name), text);
  const log = Bun.file(join(folder, "output.log"));
  const child = Bun.spawn([...options.command(folder)], {
    cwd: folder,
    stdin: "ignore",
    stdout: log,
    stderr: log,
    env: { ...process.env, ...options.environment },
  });
  const undo = (): void => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  undoings.add(undo);
  const dispose = async (): Promise<void> => {
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), 3_000);
    await child.exited;
    clearTimeout(killer);
    undoings.delete(undo);
    await rm(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; !(await isListening(options.port)); attempt += 1) {
    if (attempt > 200 || child.exitCode !== null) {
      const output = await log.text();
      await dispose();
      throw new Error(
        `${options.command(folder)[0] ?? "The peer"} does not listen on ${options.port}: ${output.slice(-2_000)}`,
      );
    }
    await Bun.sleep(50);
  }
  return {
    port: options.port,
    pid: child.pid,
    findTrouble: async () =>
      child.exitCode === null && child.signalCode === null
        ? undefined
        : `It ended with ${child.exitCode ?? child.signalCode}: ${(await log.text()).slice(-2_000)}`,
    [Symbol.asyncDispose]: dispose,
  };
}

/**
 * Finds a loopback port that nobody listens on now. It is below those that the
 * kernel gives out by itself (32768 to 60999, `ip_local_port_range`): of these,
 * another program may get one for a listener before the peer has bound it, and
 * would then be taken for the peer.
 */
export function findFreePort(): number {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => undefined } }).stop(true);
      return port;
    } catch {
      // Somebody has it.
    }
  }
  throw new Error("There is no free port from 12000 to 31999.");
}

/** Finds a program in PATH or the folders of system services. */
export function findProgram(name: string): string | undefined {
  return Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin` }) ?? undefined;
}

/** Says what is missing when a program is. */
export function requireProgram(name: string, debianPackage = name): string | undefined {
  return findProgram(name) === undefined
    ? `${name} is not installed (Debian: apt-get install ${debianPackage}).`
    : undefined;
}

async function isListening(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data: () => undefined, error: () => undefined },
    });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}
