import { expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { makeFolder } from "../support/temporary-folder.ts";

test("serve takes the defaults where the working folder has no configuration, whatever the service has", async () => {
  await using own = await makeFolder();
  await using system = await makeFolder({ "proxy.config.json": { open: 1 } });
  const machine = { configFolder: system.path, root: "/nonexistent", isRoot: false };
  const io = createFakeIo({ folder: own.path, machine });
  const code = runCli(["serve", "--listen", "127.0.0.1:0"], io);
  await io.untilTold("No configuration file: the defaults hold.");
  io.signal("SIGTERM");
  expect(await code).toBe(0);
});
