import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { openTunnel } from "../support/ask-tunnel.ts";
import { startProgram } from "../support/program.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const root = resolve(import.meta.dir, "../..");
/** The source and not the executable: that cannot be told of another platform than its own. */
const penstock = [
  process.execPath,
  ["--preload", `${root}/test/support/pretend-platform.ts`],
  `${root}/src/main.ts`,
] as const;

const config = {
  listen: ["127.0.0.1:0"],
  rules: [{ to: ["localhost"], allowPrivate: true }],
  state: { folder: "state" },
};

test.each(["darwin", "win32"] as const)(
  "without what Linux has, as on %s, it says so, carries tunnels to names, keeps its state and does not hand over",
  async (platform) => {
    await using folder = await makeFolder({ "proxy.config.json": config });
    // Windows shows modes that others may use, whatever the permissions are.
    await mkdir(`${folder.path}/state`, { mode: platform === "win32" ? 0o755 : 0o700 });
    using echo = listenEcho();
    await using proxy = startProgram(penstock, { cwd: folder.path, env: { PRETENDED_PLATFORM: platform } });
    const listening = await proxy.untilTold("Listening on ");
    await proxy.untilTold("Sockets are the runtime's: epoll cannot be used here.");
    await proxy.untilTold(`Splicing is off: The platform is ${platform}, not linux.`);

    using client = await openTunnel(Number(/:(\d+)\.$/.exec(listening)?.[1]), `localhost:${echo.port}`);
    client.write("there");
    await client.untilText("there");
    proxy.signal("SIGUSR2");
    await proxy.untilTold("no hand-over. This platform cannot pass sockets to another process.");
    client.write(" and back");
    await client.untilText("there and back");
    client.finish();
    await client.untilEnd();
    proxy.signal("SIGTERM");
    expect(await proxy.exited).toBe(0);
    expect(proxy.toldRaw.filter((line) => line.includes(" error "))).toEqual([]);
  },
);
