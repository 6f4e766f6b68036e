import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { openTunnel } from "../support/ask-tunnel.ts";
import { runExecutable, startExecutable } from "../support/executable.ts";
import { listenNotify } from "../support/notify-socket.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const TOKEN = "service-manager-token";

describe("the executable under a service manager", () => {
  test("feeds the watchdog no more while its event loop is stuck, and again when it is not", async () => {
    // A function of the configuration that blocks until a file is there.
    await using folder = await makeFolder({
      "proxy.config.ts": `
        import { existsSync, writeFileSync } from "node:fs";
        export default {
          listen: ["127.0.0.1:0"],
          timeouts: { hook: "1m" },
          rules: [() => {
            writeFileSync("stuck", "");
            while (!existsSync("free"));
            return { deny: true };
          }],
        };`,
    });
    const at = `${folder.path}/notify`;
    using manager = listenNotify(at);
    await using proxy = await startExecutable({
      cwd: folder.path,
      env: { NOTIFY_SOCKET: at, WATCHDOG_USEC: "40000" },
    });
    const fed = () => manager.messages.filter(([line]) => line === "WATCHDOG=1").length;
    await waitFor(() => fed() > 3, "the watchdog's food");
    using client = await connectRaw(proxy.port);
    client.write("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    await waitFor(() => existsSync(`${folder.path}/stuck`), "the stuck loop");
    const before = fed();
    // Fifteen times the watchdog's interval.
    await Bun.sleep(300);
    expect(fed()).toBe(before);
    await folder.write({ free: "" });
    await waitFor(() => fed() > before + 3, "more food");
  });

  test("refuses to take back a drain that a signal began, and lets the sidecar's be taken back", async () => {
    using echo = listenEcho();
    await using folder = await makeFolder({
      "proxy.config.json": {
        listen: ["127.0.0.1:0"],
        sidecar: { unix: "s.sock", token: TOKEN },
        rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
        timeouts: { drain: "1h" },
      },
    });
    const at = `${folder.path}/notify`;
    using manager = listenNotify(at);
    await using proxy = await startExecutable({ cwd: folder.path, env: { NOTIFY_SOCKET: at } });
    using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`);
    const drain = (...args: string[]) =>
      runExecutable(["drain", "--sidecar", "unix:s.sock", ...args], {
        cwd: folder.path,
        env: { PENSTOCK_SIDECAR_TOKEN: TOKEN },
      });
    expect((await drain()).code).toBe(0);
    expect((await drain("--cancel")).code).toBe(0);
    proxy.signal("SIGTERM");
    await manager.until("STOPPING=1");
    const refused = await drain("--cancel");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("The service manager stops this process");
    client.write("still here");
    await client.untilText("still here");
    client.finish();
    expect(await proxy.exited).toBe(0);
  });
});
