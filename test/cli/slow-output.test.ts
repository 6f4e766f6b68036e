import { expect, test } from "bun:test";
import { closeSync, constants, existsSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { findExecutable } from "../support/build-executable.ts";
import { expectProgram, makeEnvironment, runProgram } from "../support/program.ts";
import { connectRaw } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const config = {
  listen: ["127.0.0.1:0"],
  default: "deny",
  sidecar: { port: 0, token: "t" },
  log: { access: "json" },
  timeouts: { drain: "1d" },
};

/** The proxy with its output redirected as in a shell; `pipe` is a FIFO whose reader is the test. */
async function start(redirections: string) {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await makeFolder({ "proxy.config.json": config }));
  await expectProgram(["mkfifo", `${folder.path}/pipe`]);
  const pipe = openSync(`${folder.path}/pipe`, constants.O_RDONLY | constants.O_NONBLOCK);
  const child = Bun.spawn(["sh", "-c", `exec "$0" serve ${redirections}`, await findExecutable()], {
    cwd: folder.path,
    env: makeEnvironment(),
    stdio: ["ignore", "ignore", "ignore"],
  });
  stack.defer(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  return {
    child,
    /** Empty before the shell has made it. */
    readFile: (name: string) => {
      const path = `${folder.path}/${name}`;
      return existsSync(path) ? readFileSync(path, "utf8") : "";
    },
    /** Leaves no room in the pipe. */
    fillPipe: () => {
      const writer = openSync(`${folder.path}/pipe`, constants.O_WRONLY | constants.O_NONBLOCK);
      try {
        for (;;) writeSync(writer, "x".repeat(4096));
      } catch {
        closeSync(writer);
      }
    },
    /** What is in the pipe; nothing when that is empty. */
    readPipe: () => {
      try {
        const bytes = Buffer.alloc(4096);
        return bytes.toString("utf8", 0, readSync(pipe, bytes));
      } catch {
        return "";
      }
    },
    closePipe: () => closeSync(pipe),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

interface Ports {
  readonly proxy: number;
  readonly sidecar: number;
}

function readPorts(told: string): Ports | undefined {
  const [, proxy] = / Listening on .*:(\d+)\.$/m.exec(told) ?? [];
  const [, sidecar] = / Sidecar on .*:(\d+)\.$/m.exec(told) ?? [];
  return told.includes("Splicing") ? { proxy: Number(proxy), sidecar: Number(sidecar) } : undefined;
}

/** Has so many requests refused, which gives an access line each. */
async function askInVain(port: number, count: number): Promise<void> {
  using client = await connectRaw(port);
  for (let sent = 0; sent < count; sent += 100) {
    client.take();
    client.write("GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(100));
    await client.until((peer) => peer.text.split("HTTP/1.1 403 ").length === 101, "100 refusals");
  }
}

async function readDropped({ sidecar }: Ports): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${sidecar}/metrics`, { headers: { Authorization: "Bearer t" } });
  return Number(/^penstock_access_log_dropped_total (\d+)$/m.exec(await response.text())?.[1]);
}

test.each([
  ["a pipe that nobody reads", ">pipe", false, "their reader is too slow", 20_000],
  ["a pipe whose reader is gone", ">pipe", true, "the system says EPIPE", 100],
  ["a full disk", ">/dev/full", false, "the system says ENOSPC", 100],
])("access lines are counted when they are lost, and hold nobody up: %s", async (_, to, closes, why, count) => {
  await using stand = await start(`${to} 2>err`);
  const ports = await waitFor(() => readPorts(stand.readFile("err")), "the ports");
  if (closes) stand.closePipe();
  await askInVain(ports.proxy, count);
  let dropped = 0;
  while (dropped < (why.includes("slow") ? 1 : count)) dropped = await readDropped(ports);
  expect(dropped).toBeLessThanOrEqual(count);
  expect(stand.readFile("err").match(/Access lines are being lost: .*$/gm)).toEqual([
    `Access lines are being lost: ${why}. "penstock_access_log_dropped_total" counts them.`,
  ]);
  stand.child.kill("SIGTERM");
  expect(await stand.child.exited).toBe(0);
});

test("a standard error that nobody reads holds nobody up", async () => {
  await using stand = await start(">/dev/null 2>pipe");
  let told = "";
  const ports = await waitFor(() => readPorts((told += stand.readPipe())), "the ports");
  stand.fillPipe();
  for (let count = 0; count < 10; count += 1) {
    stand.child.kill("SIGHUP");
    await askInVain(ports.proxy, 100);
  }
  stand.child.kill("SIGTERM");
  expect(await stand.child.exited).toBe(0);
});

test("a result that cannot be written is told, and is a failure", async () => {
  // Every write to it fails, as on a disk that is full.
  const run = (line: string) => runProgram(["sh", "-c", line]);
  const executable = await findExecutable();
  const told = "Cannot write the result to standard output: ENOSPC.";
  for (const [command, wanted] of [
    ["schema", `${told}\n`],
    ["--help", `${told}\n`],
    ["version --json", `${JSON.stringify({ exitCode: 1, error: "failure", messages: [told] })}\n`],
  ] as const) {
    const { code, stderr } = await run(`${executable} ${command} >/dev/full`);
    expect([command, code, stderr]).toEqual([command, 1, wanted]);
  }
  // Nobody reads it: that is no failure.
  const { code, stderr } = await run(`${executable} version >&-`);
  expect([code, stderr]).toEqual([0, ""]);
});

test("a terminal that shows nothing any more holds nobody up", async () => {
  await using stand = await startInTerminal();
  const ports = await waitFor(() => readPorts(stand.readFile("err")), "the ports");
  stand.stopTerminal();
  // Far more lines than a terminal takes unread, which are 64 KiB.
  await askInVain(ports.proxy, 2000);
  const pid = stand.readFile("pid").trim();
  process.kill(Number(pid), "SIGTERM");
  // Whoever waits for it is stopped.
  await waitFor(() => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "), "its end");
});

/** The proxy with its access lines on a terminal of its own. */
async function startInTerminal() {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await makeFolder({ "proxy.config.json": config }));
  const command = `echo $$ >pid; exec ${await findExecutable()} serve 2>err`;
  const terminal = Bun.spawn(["script", "-q", "-c", command, "/dev/null"], {
    cwd: folder.path,
    env: makeEnvironment(),
    stdio: ["ignore", "ignore", "ignore"],
  });
  const readFile = (name: string): string => {
    const path = `${folder.path}/${name}`;
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  stack.defer(async () => {
    // As long as the terminal is stopped nobody takes the process away, even when it has ended.
    process.kill(Number(readFile("pid")), "SIGKILL");
    // Only a terminal that goes on can take notice of the end of what is in it.
    terminal.kill("SIGCONT");
    await terminal.exited;
  });
  return {
    readFile,
    stopTerminal: () => terminal.kill("SIGSTOP"),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
