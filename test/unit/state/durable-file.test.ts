import { describe, expect, spyOn, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { makePrivateFolder, writeDurably, writeDurablySync } from "../../../src/state/durable-file.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

/** Notes what reaches the disk: each file and folder that is synced, with what `look` sees then. */
async function watchSyncs(folder: string, look: () => unknown) {
  await using any = await open(folder, "r");
  const synced: { readonly isFolder: boolean; readonly seen: unknown }[] = [];
  const real = Object.getPrototypeOf(any) as { sync(): Promise<void> };
  const { sync } = real;
  const spy = spyOn(real, "sync").mockImplementation(async function (this: Awaited<ReturnType<typeof open>>) {
    synced.push({ isFolder: (await this.stat()).isDirectory(), seen: look() });
    return sync.call(this);
  });
  return { synced, [Symbol.dispose]: () => spy.mockRestore() };
}

describe("writeDurably()", () => {
  test("has the new text on disk before it has the name, and then the name", async () => {
    await using folder = await makeFolder({ "list.txt": "old" });
    const path = join(folder.path, "list.txt");
    using disk = await watchSyncs(folder.path, () => readFileSync(path, "utf8"));
    await writeDurably(path, "new");
    expect(disk.synced).toEqual([
      { isFolder: false, seen: "old" },
      { isFolder: true, seen: "new" },
    ]);
    expect(await readdir(folder.path)).toEqual(["list.txt"]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("leaves the old text, and nothing else, where it fails", async () => {
    await using folder = await makeFolder();
    // What has the name is no file.
    const path = join(folder.path, "taken");
    await mkdir(join(path, "inside"), { recursive: true });
    expect(await writeDurably(path, "new").catch(String)).toContain("EISDIR");
    expect(await readdir(folder.path)).toEqual(["taken"]);
    expect(await readdir(path)).toEqual(["inside"]);
  });

  test("takes the place of what a process left that had the same number", async () => {
    await using folder = await makeFolder();
    const path = join(folder.path, "file");
    await Bun.write(`${path}.${process.pid}.new`, "half");
    await writeDurably(path, "whole", 0o640);
    writeDurablySync(join(folder.path, "other"), "whole");
    expect(readdirSync(folder.path).toSorted()).toEqual(["file", "other"]);
    expect(await readFile(path, "utf8")).toBe("whole");
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });
});

test("makePrivateFolder() has each folder that it makes on disk", async () => {
  await using folder = await makeFolder();
  using disk = await watchSyncs(folder.path, () => undefined);
  await makePrivateFolder(join(folder.path, "a", "b"));
  expect(disk.synced).toHaveLength(2);
  await makePrivateFolder(join(folder.path, "a", "b"));
  expect(disk.synced).toHaveLength(2);
  expect((await stat(join(folder.path, "a", "b"))).mode & 0o777).toBe(0o700);
});
