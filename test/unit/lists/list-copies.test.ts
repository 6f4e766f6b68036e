import { describe, expect, test } from "bun:test";
import { readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readListCopy, tidyListCopies, writeListCopy } from "../../../src/lists/list-copies.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const DAY_MS = 86_400_000;

/** A state folder with the copies of three lists, as they were `days` ago. */
async function makeCopies(days: number) {
  const folder = await makeFolder();
  for (const key of ["file a", "file b", "url c"]) await writeListCopy(folder.path, key, `text of ${key}\n`);
  const lists = join(folder.path, "lists");
  await writeFile(join(lists, "notes.txt"), "of a person");
  await writeFile(join(lists, `${"0".repeat(32)}.list.17.new`), "half of a li");
  const then = (Date.now() - days * DAY_MS) / 1000;
  for (const name of await readdir(lists)) await utimes(join(lists, name), then, then);
  return { folder, lists, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

describe("copies of lists in the state folder", () => {
  test("stay as long as a process uses them, and go 30 days after the last one did", async () => {
    await using copies = await makeCopies(31);
    const { path } = copies.folder;
    await tidyListCopies(path, ["file a"], Date.now());
    expect(readListCopy(path, "file a")).toBe("text of file a\n");
    expect(readListCopy(path, "file b")).toBeUndefined();
    expect(readListCopy(path, "url c")).toBeUndefined();
    const left = await readdir(copies.lists);
    expect(left).toHaveLength(2);
    expect(left).toContain("notes.txt");
  });

  test("are marked by the process that uses them, so that another one leaves them alone", async () => {
    await using copies = await makeCopies(29);
    const { path } = copies.folder;
    await tidyListCopies(path, ["file b"], Date.now());
    expect(await readdir(copies.lists)).toHaveLength(5);
    // The other process does not know this list, two days later.
    await tidyListCopies(path, ["file a"], Date.now() + 2 * DAY_MS);
    expect(readListCopy(path, "file b")).toBe("text of file b\n");
    expect(readListCopy(path, "url c")).toBeUndefined();
  });

  test("are for the user of the proxy alone, and nothing else is left of the writing", async () => {
    await using folder = await makeFolder();
    await tidyListCopies(folder.path, [], Date.now());
    await writeListCopy(folder.path, "file a", "one\n");
    await writeListCopy(folder.path, "file a", "two\n");
    const [name = "", ...others] = await readdir(join(folder.path, "lists"));
    expect(others).toEqual([]);
    expect((await stat(join(folder.path, "lists", name))).mode & 0o777).toBe(0o600);
    expect(readListCopy(folder.path, "file a")).toBe("two\n");
  });
});
