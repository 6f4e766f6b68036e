import { describe, test } from "bun:test";
import { renameSync, writeFileSync } from "node:fs";
import { mkdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { FilesWatch } from "../../../src/config/watch-files.ts";
import { makeFolder } from "../../support/temporary-folder.ts";
import { waitFor } from "../../support/wait-for.ts";

/** Watches these files of a folder, and counts changes. */
async function startWatching(files: Record<string, string>, names = Object.keys(files)) {
  const folder = await makeFolder(files);
  const state = { changes: 0 };
  const watch = new FilesWatch({ changed: () => (state.changes += 1), settleMs: 30, pollMs: 50 });
  const at = (name: string) => join(folder.path, name);
  // Files that were written just now are as they were read.
  await watch.watch(names.map(at), Infinity);
  return {
    folder,
    watch,
    state,
    at,
    async [Symbol.asyncDispose]() {
      watch.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe("FilesWatch", () => {
  test("sees a file that is written, renamed over, created and removed", async () => {
    await using stand = await startWatching({ a: "1" }, ["a", "later"]);
    const { folder, at, state } = stand;
    await folder.write({ next: "2", last: "4" });
    const sees = async (what: string, change: () => void): Promise<void> => {
      const before = state.changes;
      change();
      await waitFor(() => state.changes === before + 1, what);
    };
    await sees("the written file", () => writeFileSync(at("a"), "3 3"));
    await sees("the renamed file", () => renameSync(at("next"), at("a")));
    await sees("the created file", () => renameSync(at("last"), at("later")));
    await sees("the removed file", () => renameSync(at("later"), at("gone")));
  });

  test("sees a link that leads into another folder", async () => {
    await using folder = await makeFolder({ "v1/a": "1", "v2/a": "2" });
    const at = (name: string) => join(folder.path, name);
    await mkdir(at("mount"));
    await symlink("../v1", at("mount/..data"));
    await symlink("..data/a", at("mount/a"));
    let changes = 0;
    const watch = new FilesWatch({ changed: () => (changes += 1), settleMs: 30, pollMs: 50 });
    await watch.watch([at("mount/a")], Infinity);
    await symlink("../v2", at("mount/..next"));
    await rename(at("mount/..next"), at("mount/..data"));
    await waitFor(() => changes === 1, "the link");
    watch.close();
  });

  test("counts a file as changed when a link on its way was replaced after it was read", async () => {
    await using folder = await makeFolder({ "v1/a": "1", "v2/a": "2" });
    const at = (name: string) => join(folder.path, name);
    await symlink("v1", at("data"));
    await symlink("data/a", at("a"));
    const madeAt = Date.now();
    // Time stamps are coarse.
    const readSince = await waitFor(() => Date.now() > madeAt + 50 && Date.now(), "a later time");
    await rm(at("data"));
    await symlink("v2", at("data"));
    let changes = 0;
    const watch = new FilesWatch({ changed: () => (changes += 1), settleMs: 30, pollMs: 50 });
    await watch.watch([at("a")], readSince);
    await waitFor(() => changes === 1, "the link");
    watch.close();
  });

  test("does not wait for ever for a file that never comes to rest", async () => {
    await using stand = await startWatching({ a: "1" });
    const { folder, state } = stand;
    for (let text = 2; state.changes === 0; text += 1) {
      await folder.write({ a: String(text) });
      await Bun.sleep(5);
    }
  });

  test("counts a file as changed that changed after it was read, and says one change of many files once", async () => {
    await using stand = await startWatching({ a: "1", b: "1" });
    const { folder, watch, state, at } = stand;
    for (const name of ["a", "b"]) writeFileSync(at(name), "2 2");
    await waitFor(() => state.changes === 1, "both files");
    const readSince = Date.now();
    await folder.write({ c: "1" });
    await watch.watch([at("a"), at("c")], readSince);
    await waitFor(() => state.changes === 2, "the file that changed meanwhile");
  });
});
