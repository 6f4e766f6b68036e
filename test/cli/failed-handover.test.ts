import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { runExecutable } from "../support/executable.ts";
import { needs } from "../support/needs.ts";
import { Clients, startFamily, writeConfig } from "../support/proxy-family.ts";
import { listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

// Each starts several processes.
setDefaultTimeout(300_000);

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

    await rm(`${folder.path}/proxy.config.json`);
    const gone = await family.handOver();
    expect(gone.code).toBe(78);
    expect(gone.stderr).toContain(`There is no ${folder.path}/proxy.config.json any more.`);
    await folder.write(writeConfig());

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
import { rm } from "node:fs/promises";
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

describe("a hand-over that begins", () => {
  test("needs only the descriptors that are kept for operators", async () => {
    await using folder = await makeFolder(writeConfig());
    using echo = listenEcho();
    await using family = await startFamily(folder, ["sh", "-c", 'ulimit -n 200 && exec "$0"', await findExecutable()]);
    const held: RawPeer[] = [];
    const target = `127.0.0.1:${echo.port}`;
    for (let isFull = false; !isFull;) {
      const peer = await openTunnel(family.port, target).catch((error: unknown) => String(error));
      if (typeof peer === "object") held.push(peer);
      else expect(peer).toContain("HTTP/1.1 503 ");
      isFull = typeof peer === "string";
    }
    expect((await family.handOver()).code).toBe(0);
    await family.untilGone(family.first.pid);
    for (const peer of held) {
      peer.write("served");
      await peer.untilText("served");
      peer[Symbol.dispose]();
    }
  });

  for (const [what, init] of [
    ["process 1", []],
    ["the main process", ["sh", "-c", '"$@"; exit', "init"]],
  ] as const)
    needs("unshare")(`is refused in ${what} of a container, which would end with it`, async () => {
      await using folder = await makeFolder(writeConfig());
      using echo = listenEcho();
      const container = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];
      await using family = await startFamily(folder, [...container, ...init, await findExecutable()]);
      using client = await openTunnel(family.port, `127.0.0.1:${echo.port}`);
      const refused = await family.handOver();
      expect(refused.code).toBe(1);
      expect(refused.stderr).toStartWith(`No hand-over (409): The proxy is ${what} of its container`);
      client.write("served");
      await client.untilText("served");
    });
});
