import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { openLibc } from "../../../../src/net/libc/libc.ts";
import { takeFileLock, takeFolderLock } from "../../../../src/net/libc/file-lock.ts";
import { makeFolder } from "../../../support/temporary-folder.ts";

describe.if(openLibc() !== undefined)("takeFileLock(), where the C library is known", () => {
  test("gives a lock to one at a time", async () => {
    await using folder = await makeFolder();
    const path = join(folder.path, "lock");
    const release = takeFileLock(path);
    expect(release).toBeDefined();
    expect(takeFileLock(path)).toBeUndefined();
    release?.();
    const again = takeFileLock(path);
    expect(again).toBeDefined();
    again?.();
  });

  test("gives that of a folder as well, and leaves nothing in it", async () => {
    await using folder = await makeFolder();
    const release = takeFolderLock(folder.path);
    expect(release).toBeDefined();
    expect(takeFolderLock(folder.path)).toBeUndefined();
    release?.();
    takeFolderLock(folder.path)?.();
    expect(await readdir(folder.path)).toEqual([]);
  });

  test("keeps it from a process that is started meanwhile", async () => {
    await using folder = await makeFolder();
    const path = join(folder.path, "lock");
    // The moment in which a new process has a copy of every descriptor is met about once in ten times.
    for (let tries = 0; tries < 40; tries += 1) {
      const release = takeFileLock(path);
      const child = Bun.spawn(["sleep", "60"]);
      try {
        expect(release).toBeDefined();
        release?.();
        const again = takeFileLock(path);
        expect(again).toBeDefined();
        again?.();
      } finally {
        child.kill("SIGKILL");
        await child.exited;
      }
    }
  });
});
