import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFile, mkdir, readlink, rename, stat, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { runExecutable } from "../support/executable.ts";
import { needs, python } from "../support/needs.ts";
import { listenNotify } from "../support/notify-socket.ts";
import { Clients, startFamily, TOKEN, writeConfig } from "../support/proxy-family.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

// Each starts several processes.
setDefaultTimeout(300_000);

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
    expect(family.first.told.filter((line) => line.startsWith("PENSTOCK"))).toEqual([]);
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
    expect(nothing.stderr).toContain(
      `There is no configuration file in ${folder.path} and none in /etc/penstock, so that no sidecar is known.`,
    );
    const closed = await runExecutable(["handover", "--sidecar", "unix:s.sock"], { cwd: folder.path });
    expect(closed).toMatchObject({ code: 2 });
    expect(closed.stderr).toContain("Missing the token of the sidecar.");
    const nobody = await runExecutable(["handover", "--sidecar", "unix:s.sock"], { cwd: folder.path, env: TOKEN });
    expect(nobody.code).toBe(1);
    expect(nobody.stderr).toContain("Cannot reach the sidecar at ");
  });
});
