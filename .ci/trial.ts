import { openTunnel } from "../test/support/ask-tunnel.ts";
import { waitFor } from "../test/support/wait-for.ts";

/** What a program said, and how it ended. */
export interface Said {
  readonly code: number;
  readonly said: string;
}

/** Tells whether something holds. One that does not makes the trial fail, which goes on. */
export function check(what: string, holds: boolean, found?: string | number): void {
  console.log(`${holds ? "ok  " : "FAIL"}  ${what}${holds || found === undefined ? "" : `: ${found}`}`);
  if (!holds) process.exitCode = 1;
}

/** Runs a program to its end, with the variables of a service manager alone. */
export async function runToEnd(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
  const child = Bun.spawn([...command], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, complaint, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, said: `${out}${complaint}`.trim() };
}

/** A tunnel that sends a number every few milliseconds, and gets it back. */
export async function keepTalking(port: number, origin: number) {
  const client = await openTunnel(port, `127.0.0.1:${origin}`);
  let answered = 0;
  let longest = 0;
  let isOver = false;
  const talk = async (): Promise<void> => {
    while (!isOver) {
      const text = `${answered};`;
      const began = performance.now();
      client.write(text);
      await client.untilText(text);
      if (client.text !== text) throw new Error(`The tunnel gave ${client.text} for ${text}`);
      client.take();
      longest = Math.max(longest, performance.now() - began);
      answered += 1;
      await Bun.sleep(5);
    }
  };
  const talked = talk();
  return {
    get answered() {
      return answered;
    },
    get longestMs() {
      return Math.round(longest);
    },
    untilMore: (count: number) => {
      const from = answered;
      return Promise.race([talked, waitFor(() => answered >= from + count, `${count} more answers`)]);
    },
    async finish() {
      isOver = true;
      await talked;
      client[Symbol.dispose]();
    },
  };
}

/** The last line of a trial. */
export function tellOutcome(): void {
  console.log(process.exitCode === 1 ? "\nSomething failed: see FAIL above." : "\nAll of it holds.");
}
