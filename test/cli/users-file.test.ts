import { expect, test } from "bun:test";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { askInVain, openTunnel } from "../support/ask-tunnel.ts";
import { startExecutable } from "../support/executable.ts";
import { needs } from "../support/needs.ts";
import { expectProgram } from "../support/program.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const config = {
  listen: ["127.0.0.1:0"],
  users: { file: "users.htpasswd" },
  rules: [{ to: ["127.0.0.1:2-65535"], allowPrivate: true }],
};

const hash = (password: string) => Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });

test("the executable reads its users file again when that changes, and tunnels live on", async () => {
  await using folder = await makeFolder({
    "proxy.config.json": config,
    "users.htpasswd": `ann:${await hash("one")}\n`,
  });
  using echo = listenEcho();
  await using proxy = await startExecutable({ cwd: folder.path });
  const status = async (credentials: string) => (await askInVain(proxy.port, "127.0.0.1:1", credentials)).split(" ")[1];
  using client = await openTunnel(proxy.port, `127.0.0.1:${echo.port}`, "ann:one");
  expect(await status("ben:two")).toBe("407");

  // As a careful editor does it: a new file takes the old one's place.
  await folder.write({ next: `ben:${await hash("two")}\n` });
  await rename(join(folder.path, "next"), join(folder.path, "users.htpasswd"));
  await proxy.untilTold("Read the users of");
  expect(await status("ben:two")).toBe("403");
  expect(await status("ann:one")).toBe("407");
  client.write("still ann");
  await client.untilText("still ann");

  await folder.write({ "users.htpasswd": "ben:in-plain\n" });
  await proxy.untilTold("The users stay as they were");
  expect(await status("ben:two")).toBe("403");
  expect(proxy.told.join("\n")).not.toContain("in-plain");
});

needs("htpasswd")("a file that htpasswd wrote logs its users in", async () => {
  await using folder = await makeFolder({ "proxy.config.json": config });
  await expectProgram(["htpasswd", "-c", "-b", "-B", "-C", "5", "users.htpasswd", "ann", "s3cret"], {
    cwd: folder.path,
  });
  await using proxy = await startExecutable({ cwd: folder.path });
  expect(await askInVain(proxy.port, "127.0.0.1:1", "ann:s3cret")).toStartWith("HTTP/1.1 403 ");
  expect(await askInVain(proxy.port, "127.0.0.1:1", "ann:other")).toStartWith("HTTP/1.1 407 ");
});
