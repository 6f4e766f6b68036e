import { expect, test } from "bun:test";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { startExecutable } from "../support/executable.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { waitFor } from "../support/wait-for.ts";
import { makeFolder } from "../support/temporary-folder.ts";

test("the executable follows a list as its file is replaced, broken, removed and mended, and tunnels live on", async () => {
  using echo = listenEcho();
  await using folder = await makeFolder({
    "proxy.config.json": {
      listen: ["127.0.0.1:0"],
      lists: { dev: { file: "lists/allow.txt" } },
      rules: [
        { to: [{ file: "deny.txt" }], deny: true },
        { to: ["@dev"], allowPrivate: true },
      ],
      default: "deny",
      // Lists are followed by themselves, whatever else is watched.
      watch: true,
    },
    "lists/allow.txt": `127.0.0.1:${echo.port} # the echo\n`,
    "deny.txt": "192.0.2.1\n",
  });
  await using proxy = await startExecutable({ cwd: folder.path });
  const target = `127.0.0.1:${echo.port}`;
  const status = async (asked: string) => (await askInVain(proxy.port, asked)).split(" ")[1];
  using client = await openTunnel(proxy.port, target);

  await folder.write({ next: "192.0.2.1\n127.0.0.0/8\n" });
  await rename(join(folder.path, "next"), join(folder.path, "deny.txt"));
  await proxy.untilTold('Read the list "deny.txt" again.');
  expect(await status(target)).toBe("403");
  client.write("still here");
  await client.untilText("still here");

  await folder.write({ "deny.txt": "" });
  await proxy.untilTold("The list has no entries");
  expect(await status(target)).toBe("403");
  await rm(join(folder.path, "deny.txt"));
  await proxy.untilTold('Cannot read "deny.txt": there is no such file or folder.');
  expect(await status(target)).toBe("403");

  await folder.write({ "deny.txt": "192.0.2.1\n" });
  const read = () => proxy.told.filter((line) => line.includes('Read the list "deny.txt" again.'));
  await waitFor(() => read()[1], "the list is read again");
  using again = await openTunnel(proxy.port, target);
  again.write("again");
  await again.untilText("again");
});
