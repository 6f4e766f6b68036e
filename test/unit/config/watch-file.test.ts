import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFile, mkdtemp, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { FileText } from "../../../src/config/read-file.ts";
import { watchFile } from "../../../src/config/watch-file.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "penstock-watch-"));
});
afterAll(() => rm(root, { recursive: true }));

/** Watches a new file in a folder of its own. `next` waits for what is told next. */
async function createWatched(known = "one", settleMs = 20) {
  const folder = await mkdtemp(join(root, "w-"));
  const path = join(folder, "users");
  await writeFile(path, "one");
  const told: FileText[] = [];
  let wake = () => {};
  const watch = watchFile(path, {
    known,
    kind: "users",
    settleMs,
    pollMs: 50,
    tell: (read) => {
      told.push(read);
      wake();
    },
  });
  const next = async (): Promise<FileText> => {
    for (;;) {
      const read = told.shift();
      if (read) return read;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return { folder, path, told, next, [Symbol.dispose]: () => watch.close() };
}

describe("watchFile()", () => {
  test("tells a file that was written to", async () => {
    using watched = await createWatched();
    await writeFile(watched.path, "two");
    expect(await watched.next()).toEqual({ ok: true, text: "two" });
  });

  test("tells a file that was renamed over the old one, twice", async () => {
    using watched = await createWatched();
    for (const text of ["two", "three"]) {
      await writeFile(`${watched.path}.new`, text);
      await rename(`${watched.path}.new`, watched.path);
      expect(await watched.next()).toEqual({ ok: true, text });
    }
  });

  test("waits until a file that is written in parts rests", async () => {
    // Longer where this machine itself takes longer for a part.
    for (let settleMs = 100; ; settleMs *= 2) {
      using watched = await createWatched("one", settleMs);
      const begun = performance.now();
      await writeFile(watched.path, "");
      await appendFile(watched.path, "a");
      await appendFile(watched.path, "b");
      if (performance.now() - begun > settleMs / 2) continue;
      expect(await watched.next()).toEqual({ ok: true, text: "ab" });
      expect(watched.told).toEqual([]);
      return;
    }
  });

  test("tells what changed between reading the file and watching it", async () => {
    using watched = await createWatched("an older text");
    expect(await watched.next()).toEqual({ ok: true, text: "one" });
  });

  test("tells that the file is gone, and when it is back", async () => {
    using watched = await createWatched();
    await rm(watched.path);
    expect(await watched.next()).toMatchObject({ ok: false, reason: "there is no such file or folder" });
    await writeFile(watched.path, "two");
    expect(await watched.next()).toEqual({ ok: true, text: "two" });
  });

  test("follows a link into another folder", async () => {
    using watched = await createWatched();
    const elsewhere = join(await mkdtemp(join(root, "e-")), "real");
    await writeFile(elsewhere, "linked");
    await symlink(elsewhere, `${watched.path}.link`);
    await rename(`${watched.path}.link`, watched.path);
    expect(await watched.next()).toEqual({ ok: true, text: "linked" });
    await writeFile(elsewhere, "changed there");
    expect(await watched.next()).toEqual({ ok: true, text: "changed there" });
  });

  test("says nothing of a file that was touched and has the same text", async () => {
    using watched = await createWatched();
    await utimes(watched.path, 1, 1);
    await writeFile(join(watched.folder, "another"), "x");
    await writeFile(watched.path, "two");
    expect(await watched.next()).toEqual({ ok: true, text: "two" });
    expect(watched.told).toEqual([]);
  });
});
