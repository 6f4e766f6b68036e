import { existsSync } from "node:fs";
import { connect } from "node:net";
import { runExecutable } from "./executable.ts";
import { type RunningProgram, startProgram } from "./program.ts";
import type { TemporaryFolder } from "./temporary-folder.ts";
import { waitFor } from "./wait-for.ts";

/** The token of the sidecar, as the commands want it. */
export const TOKEN = { PENSTOCK_SIDECAR_TOKEN: "t0ken" };

/** A proxy on a free port with a sidecar. */
export function writeConfig(more: object = {}): Record<string, object> {
  const rules = [{ to: ["127.0.0.1"], allowPrivate: true }];
  const proxy = { listen: ["127.0.0.1:0"], rules, sidecar: { unix: "s.sock" }, warmUp: "off", ...more };
  return { "proxy.config.json": proxy };
}

/** A proxy and the processes that have taken over from it. Disposing ends all of them. */
export interface Family extends AsyncDisposable {
  readonly first: RunningProgram;
  readonly port: number;
  /** The process ids so far, the first one included. */
  readonly pids: readonly number[];
  /** Runs `penstock handover` against whichever process serves. */
  handOver(...args: readonly string[]): ReturnType<typeof runExecutable>;
  /** Waits until a process is gone. */
  untilGone(pid: number): Promise<void>;
}

/** Starts the first of them. */
export async function startFamily(folder: TemporaryFolder, command: readonly string[], env = {}): Promise<Family> {
  const first = startProgram(command, { cwd: folder.path, env: { ...TOKEN, ...env } });
  const list = (): number[] => [
    first.pid,
    ...first.told.flatMap((line) => /started process ([0-9]+) to hand over to it/.exec(line)?.[1] ?? []).map(Number),
  ];
  const end = async (): Promise<void> => {
    // A process that is about to start another one is ended first.
    for (const pid of list()) if (existsSync(`/proc/${pid}`)) process.kill(pid, "SIGKILL");
    await first[Symbol.asyncDispose]();
  };
  let line: string;
  try {
    line = await first.untilTold("Listening on ");
  } catch (error) {
    await end();
    throw error;
  }
  return {
    first,
    port: Number(/:([0-9]+)\.$/.exec(line)?.[1]),
    get pids() {
      return list();
    },
    handOver: (...args) =>
      runExecutable(["handover", "--sidecar", "unix:s.sock", ...args], { cwd: folder.path, env: TOKEN }),
    untilGone: async (pid) => void (await waitFor(() => !existsSync(`/proc/${pid}`), `process ${pid} to be gone`)),
    [Symbol.asyncDispose]: end,
  };
}

/** Clients that open a tunnel, say something and leave, one after the other, without a pause. */
export class Clients implements AsyncDisposable {
  served = 0;
  readonly failures: string[] = [];
  readonly #ended: Promise<unknown>;
  #ending = false;

  constructor(port: number, target: number, count: number) {
    this.#ended = Promise.all(Array.from({ length: count }, () => this.#loop(port, target)));
  }

  async untilServed(more: number): Promise<void> {
    const wanted = this.served + more;
    await waitFor(() => this.served >= wanted, `${more} more clients`);
  }

  async #loop(port: number, target: number): Promise<void> {
    while (!this.#ending) {
      const failure = await this.#visit(port, target);
      if (failure === undefined) this.served += 1;
      else this.failures.push(failure);
    }
  }

  #visit(port: number, target: number): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.write(`CONNECT 127.0.0.1:${target} HTTP/1.1\r\nHost: 127.0.0.1:${target}\r\n\r\nhello`);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (text.endsWith("\r\n\r\nhello")) socket.end();
    });
    socket.on("error", (error) => resolve(error.message));
    socket.on("close", () => resolve(/^HTTP\/1\.1 200 .*hello$/s.test(text) ? undefined : `got ${text}`));
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    await this.#ended;
  }
}
