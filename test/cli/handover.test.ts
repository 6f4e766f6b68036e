import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFile, mkdir, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { runExecutable } from "../support/executable.ts";
import { needs, python } from "../support/needs.ts";
import { listenNotify } from "../support/notify-socket.ts";
import { type RunningProgram, startProgram } from "../support/program.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

// Each starts several processes.
setDefaultTimeout(30_000);

const TOKEN = { PENSTOCK_SIDECAR_TOKEN: "t0ken" };

function writeConfig(more: object = {}): Record<string, object> {
  const rules = [{ to: ["127.0.0.1"], allowPrivate: true }];
  const proxy = { listen: ["127.0.0.1:0"], rules, sidecar: { unix: "s.sock" }, warmUp: "off", ...more };
  return { "proxy.config.json": proxy };
}

/** A proxy and the processes that have taken over from it. Disposing ends all of them. */
interface Family extends AsyncDisposable {
  readonly first: RunningProgram;
  readonly port: number;
  /** The process ids so far, the first one included. */
  readonly pids: readonly number[];
  /** Runs `penstock handover` against whichever process serves. */
  handOver(...args: readonly string[]): ReturnType<typeof runExecutable>;
  /** Waits until a process is gone. */
  untilGone(pid: number): Promise<void>;
}

async function startFamily(folder: TemporaryFolder, command: readonly string[], env = {}): Promise<Family> {
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
class Clients implements AsyncDisposable {
  served = 0;
  readonly failures: string[] = [];
  readonly #ended: Promise<unknown>;
  #ending = false;

  constructor(port: number, target: number, count: number) {
    this.#ended = Promise.all(Array.from({ length: count }, () => this.#loop(port, target)));
  }

  async untilServed(more: number): Promise<void> {
    const wanted = this.served + more;
    await waitFor(() => this.served >= wanted, `${more} more clients`, 30_000);
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

describe("an upgrade", () => {
  test("to a file that was renamed over the executable fails no connection, twice in a row", async () => {
    await using folder = await makeFolder(writeConfig());
    const path = `${folder.path}/penstock`;
    await copyFile(await findExecutable(), path);
    using echo = listenEcho();
    await using family = await startFamily(folder, [path]);
    const before = (await stat(path)).ino;
    await copyFile(path, `${path}.new`);
    await rename(`${path}.new`, path);
    await using clients = new Clients(family.port, echo.port, 4);
    await clients.untilServed(50);

    process.kill(family.first.pid, "SIGUSR2");
    await family.first.untilTold("accepts connections, and this one does not any more.");
    await family.untilGone(family.first.pid);
    const [, second = 0] = family.pids;
    await clients.untilServed(50);
    expect((await stat(`/proc/${second}/exe`)).ino).not.toBe(before);

    expect(await family.handOver()).toMatchObject({ code: 0, stdout: "" });
    await family.untilGone(second);
    await clients.untilServed(50);
    expect(clients.failures).toEqual([]);
    expect(family.pids).toHaveLength(3);
    expect(family.first.told.filter((line) => line.startsWith("Listening on "))).toEqual(
      Array.from({ length: 3 }, () => `Listening on 127.0.0.1:${family.port}.`),
    );
  });

  test("to the file that a link leads to by now, or to the one that is named", async () => {
    await using folder = await makeFolder(writeConfig());
    const [one, two, three] = [`${folder.path}/1/penstock`, `${folder.path}/2/penstock`, `${folder.path}/3/penstock`];
    for (const path of [one, two, three]) {
      await mkdir(dirname(path), { recursive: true });
      await copyFile(await findExecutable(), path);
    }
    const link = `${folder.path}/penstock`;
    await symlink("1/penstock", link);
    await using family = await startFamily(folder, [link]);
    await symlink("2/penstock", `${link}.new`);
    await rename(`${link}.new`, link);
    expect((await family.handOver()).code).toBe(0);
    expect(await readlink(`/proc/${family.pids[1]}/exe`)).toBe(two);
    expect((await family.handOver("--executable", "3/penstock")).code).toBe(0);
    expect(await readlink(`/proc/${family.pids[2]}/exe`)).toBe(three);
  });

  test("keeps the arguments, the environment and the folder", async () => {
    await using folder = await makeFolder({ "other.json": writeConfig()["proxy.config.json"] ?? {} });
    const command = [await findExecutable(), "serve", "--config", "other.json"];
    await using family = await startFamily(folder, command, { PENSTOCK_TIMEOUTS_IDLE: "7m" });
    expect((await family.handOver()).code).toBe(0);
    const answer = await fetch("http://localhost/config", {
      unix: `${folder.path}/s.sock`,
      headers: { Authorization: "Bearer t0ken" },
    });
    expect(await answer.json()).toMatchObject({ timeouts: { idle: "7m" } });
    expect(family.first.told.filter((line) => line.startsWith("Warning: PENSTOCK"))).toEqual([]);
  });

  test("lets a tunnel that cannot move go on for timeouts.handover, and the old process ends with it", async () => {
    await using folder = await makeFolder(writeConfig({ sockets: "runtime" }));
    using echo = listenEcho();
    await using family = await startFamily(folder, [await findExecutable()]);
    using client = await openTunnel(family.port, `127.0.0.1:${echo.port}`);
    expect((await family.handOver()).code).toBe(0);
    const told = await family.first.untilTold("What does not move to process");
    expect(told).toEndWith("has 10 min to end.");
    client.write("still here");
    await client.untilText("still here");
    using later = await openTunnel(family.port, `127.0.0.1:${echo.port}`);
    client.finish();
    await client.untilEnd();
    await family.untilGone(family.first.pid);
    later.write("and here");
    await later.untilText("and here");
  });
});

describe("a successor that cannot serve", () => {
  test("leaves the old process as it was, and the caller learns why", async () => {
    await using folder = await makeFolder(writeConfig());
    using echo = listenEcho();
    await using family = await startFamily(folder, [await findExecutable()]);
    await using clients = new Clients(family.port, echo.port, 2);
    await clients.untilServed(10);

    await folder.write({ "proxy.config.json": { listen: 5.5 } });
    const invalid = await family.handOver();
    expect(invalid.code).toBe(78);
    expect(invalid.stderr).toContain("cannot use its configuration. The old process goes on as before.");
    expect(invalid.stderr).toContain("proxy.config.json:1:2: listen: Found 5.5.");

    await folder.write({ ...writeConfig({ listen: ["127.0.0.1:0", `127.0.0.1:${echo.port}`] }), "no.txt": "no" });
    const bound = await family.handOver();
    expect(bound.code).toBe(1);
    expect(bound.stderr).toContain(`Cannot listen on 127.0.0.1:${echo.port}: the port is in use.`);

    for (const [program, reason] of [
      ["/nowhere/penstock", "Cannot start /nowhere/penstock: ENOENT."],
      [`${folder.path}/no.txt`, `Cannot start ${folder.path}/no.txt: EACCES.`],
      ["/bin/true", "ended with exit code 0 before it was ready."],
      ["/bin/false", "ended with exit code 1 before it was ready."],
    ] as const) {
      const failed = await family.handOver("--executable", program);
      expect(failed.code).toBe(1);
      expect(failed.stderr).toContain(reason);
    }
    await clients.untilServed(20);
    expect(clients.failures).toEqual([]);
    expect(existsSync(`/proc/${family.first.pid}`)).toBe(true);
  });

  test("and is killed after it was ready leaves the old process to accept again", async () => {
    await using folder = await makeFolder(writeConfig({ sockets: "runtime" }));
    using echo = listenEcho();
    await using family = await startFamily(folder, [await findExecutable()]);
    using client = await openTunnel(family.port, `127.0.0.1:${echo.port}`);
    expect((await family.handOver()).code).toBe(0);
    const [, second = 0] = family.pids;
    process.kill(second, "SIGKILL");
    await family.first.untilTold("accepting connections again.");
    using later = await openTunnel(family.port, `127.0.0.1:${echo.port}`);
    for (const each of [client, later]) {
      each.write("served");
      await each.untilText("served");
    }
    expect((await family.handOver()).code).toBe(0);
  });

  test("and ends by itself after it was ready is not followed by the old process", async () => {
    await using folder = await makeFolder(writeConfig({ sockets: "runtime" }));
    using echo = listenEcho();
    await using family = await startFamily(folder, [await findExecutable()]);
    using client = await openTunnel(family.port, `127.0.0.1:${echo.port}`);
    expect((await family.handOver()).code).toBe(0);
    const [, second = 0] = family.pids;
    process.kill(second, "SIGTERM");
    await family.untilGone(second);
    await expect(askInVain(family.port, `127.0.0.1:${echo.port}`)).rejects.toThrow();
    client.write("still here");
    await client.untilText("still here");
  });

  test("because nobody hands over to it says so", async () => {
    await using folder = await makeFolder(writeConfig());
    const env = { PENSTOCK_HANDOVER_CHANNEL: "3" };
    const ran = await runExecutable([], { cwd: folder.path, env });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain("Cannot take over from another process (PENSTOCK_HANDOVER_CHANNEL=3): ");
  });
});

describe("an old process that is killed", () => {
  test("while its successor starts leaves the successor to serve, and no client is refused", async () => {
    await using folder = await makeFolder({
      "proxy.config.ts": `
        import { existsSync } from "node:fs";
        if (process.env.PENSTOCK_HANDOVER_CHANNEL) {
          process.stderr.write("loading\\n");
          while (!existsSync("go")) await Bun.sleep(5);
        }
        export default ${JSON.stringify(writeConfig()["proxy.config.json"])};`,
    });
    using echo = listenEcho();
    await using family = await startFamily(folder, [await findExecutable()]);
    process.kill(family.first.pid, "SIGUSR2");
    await family.first.untilTold("loading");
    process.kill(family.first.pid, "SIGKILL");
    await family.untilGone(family.first.pid);
    // It waits in the queue of the socket, which the successor has.
    const opening = openTunnel(family.port, `127.0.0.1:${echo.port}`);
    await folder.write({ go: "" });
    using client = await opening;
    client.write("served");
    await client.untilText("served");
    await family.first.untilTold("This process serves on.");
  });
});

describe("the service manager", () => {
  test("hears the process id of the successor from the old process, and then the successor alone", async () => {
    await using folder = await makeFolder(writeConfig());
    const at = `${folder.path}/notify`;
    using manager = listenNotify(at);
    const env = { NOTIFY_SOCKET: at, WATCHDOG_USEC: "100000", WATCHDOG_PID: "1" };
    await using family = await startFamily(folder, [await findExecutable()], env);
    await manager.until("READY=1");
    manager.messages.length = 0;
    expect((await family.handOver()).code).toBe(0);
    const [, second = 0] = family.pids;
    await manager.until("WATCHDOG=1");
    const [handed, ready, ...rest] = manager.messages;
    expect(handed).toEqual(["READY=1", `MAINPID=${second}`, `STATUS=Handed over to process ${second}.`]);
    expect(ready).toEqual(["READY=1", `STATUS=Serving on 127.0.0.1:${family.port}.`]);
    expect(rest.flat().every((line) => line === "WATCHDOG=1")).toBe(true);
  });
});

/** Binds a port below 1024 and one for nobody, gives up the rights of root, and becomes the executable. */
const PRIVILEGED = `
import os, socket, sys
for port in range(600, 1024):
    try:
        each = socket.create_server(("127.0.0.1", port))
        break
    except OSError: pass
os.dup2(each.fileno(), 100)
os.dup2(100, 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="edge")
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.execv(sys.argv[1], sys.argv[1:])
`;

const asRoot = needs("python3", ...(process.getuid?.() === 0 ? [] : ["root"]));

describe("a user without rights", () => {
  asRoot("hands over a port below 1024 that was opened before", async () => {
    await using folder = await makeFolder(writeConfig({ listen: [{ name: "edge", port: 0 }], sidecar: undefined }));
    using echo = listenEcho();
    await using family = await startFamily(folder, [python, "-c", PRIVILEGED, await findExecutable()]);
    expect(family.port).toBeLessThan(1024);
    for (let times = 1; times <= 2; times += 1) {
      const from = family.pids.at(-1) ?? 0;
      process.kill(from, "SIGUSR2");
      await family.untilGone(from);
      using client = await openTunnel(family.port, `127.0.0.1:${echo.port}`);
      client.write("served");
      await client.untilText("served");
    }
    expect(family.pids).toHaveLength(3);
  });
});

describe("penstock handover", () => {
  test("says what is missing", async () => {
    await using folder = await makeFolder({});
    const nothing = await runExecutable(["handover"], { cwd: folder.path });
    expect(nothing).toMatchObject({ code: 2 });
    expect(nothing.stderr).toContain("Missing the token of the sidecar.");
    await rm(`${folder.path}/s.sock`, { force: true });
    const nobody = await runExecutable(["handover", "--sidecar", "unix:s.sock"], { cwd: folder.path, env: TOKEN });
    expect(nobody.code).toBe(1);
    expect(nobody.stderr).toContain("Cannot reach the sidecar at ");
  });
});
