import { findFreePort } from "../bench/peer.ts";
import type { LoadOrder, LoadResult } from "../bench/load/client.ts";

/** A process that a test may kill. */
interface LoadProcess extends AsyncDisposable {
  /** Ends it as the system does with a program out of control: its sockets are the kernel's matter. */
  kill(): Promise<void>;
}

/** The origin of the bench, in a process with descriptors of its own. */
export interface LoadOrigin extends LoadProcess {
  readonly port: number;
}

/** The load client of the bench, all of whose tunnels are open. */
export interface LoadClient extends LoadProcess {
  /** Lets it work for as long as its order says, and then leave. */
  finish(): Promise<LoadResult>;
}

export async function startLoadOrigin(): Promise<LoadOrigin> {
  const port = findFreePort();
  const child = spawnLoad("origin.ts", String(port));
  await child.nextLine();
  return { port, kill: child.kill, [Symbol.asyncDispose]: child.kill };
}

/** Resolves once every tunnel of the order is open, or throws. */
export async function startLoadClient(order: Omit<LoadOrder, "handshake">): Promise<LoadClient> {
  const child = spawnLoad("client.ts", JSON.stringify({ handshake: "connect", ...order }));
  await child.nextLine();
  return {
    kill: child.kill,
    [Symbol.asyncDispose]: child.kill,
    async finish() {
      child.say("go");
      const result = JSON.parse(await child.nextLine()) as LoadResult;
      child.say("bye");
      return result;
    },
  };
}

function spawnLoad(program: string, argument: string) {
  const path = new URL(`../bench/load/${program}`, import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, path, argument], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  const reader = child.stdout.getReader();
  const text = new TextDecoder();
  let read = "";
  return {
    say(word: string): void {
      void child.stdin.write(`${word}\n`);
      void child.stdin.flush();
    },
    async nextLine(): Promise<string> {
      for (;;) {
        const end = read.indexOf("\n");
        if (end >= 0) {
          const line = read.slice(0, end);
          read = read.slice(end + 1);
          return line;
        }
        const { done, value } = await reader.read();
        if (done) throw new Error(`${program} ended: ${await child.stderr.text()}`);
        read += text.decode(value, { stream: true });
      }
    },
    async kill(): Promise<void> {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
