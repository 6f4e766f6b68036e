import { describe, expect, test } from "bun:test";
import { chmod, mkdir, stat, symlink } from "node:fs/promises";
import { join } from "node:path";

import { openOutput } from "../../../src/cli/open-output.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

/** Writes "new" to a file, or gives why it cannot be written, without the folder. */
async function write(folder: string, name: string, force = false): Promise<string | undefined> {
  const file = await openOutput(join(folder, name), force);
  if (typeof file === "string") return file.replaceAll(`${folder}/`, "");
  await file.writeFile("new");
  await file.close();
  return undefined;
}

async function readMode(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

describe("openOutput()", () => {
  test("makes a file that only its owner can read", async () => {
    await using folder = await makeFolder();
    expect(await write(folder.path, "x")).toBeUndefined();
    expect([await folder.read("x"), await readMode(join(folder.path, "x"))]).toEqual(["new", "600"]);
  });

  test("leaves a file alone that is there already, and where a link leads to one", async () => {
    await using folder = await makeFolder({ x: "old and long" });
    await symlink("x", join(folder.path, "link"));
    await symlink("nowhere", join(folder.path, "dangling"));
    for (const name of ["x", "link", "dangling"])
      expect(await write(folder.path, name)).toBe(
        `Cannot write ${name}: it is there already. Choose another name, or replace it with --force.`,
      );
    expect(await folder.read("x")).toBe("old and long");
    expect(await Bun.file(join(folder.path, "nowhere")).exists()).toBe(false);
  });

  test("replaces it when it is forced to, and closes it to others", async () => {
    await using folder = await makeFolder({ x: "old and long" });
    await chmod(join(folder.path, "x"), 0o644);
    expect(await write(folder.path, "x", true)).toBeUndefined();
    expect([await folder.read("x"), await readMode(join(folder.path, "x"))]).toEqual(["new", "600"]);
    expect(await write(folder.path, "y", true)).toBeUndefined();
  });

  test("makes no folder, and takes none for a file", async () => {
    await using folder = await makeFolder();
    await mkdir(join(folder.path, "folder"));
    for (const force of [false, true])
      expect(await write(folder.path, "none/x", force)).toBe("Cannot write none/x: there is no such folder.");
    expect(await write(folder.path, "folder")).toContain("it is there already");
    expect(await write(folder.path, "folder", true)).toBe("Cannot write folder: it is a folder.");
  });

  test("writes to a device without being forced to", async () => {
    expect(await write("/dev", "null")).toBeUndefined();
    expect(await write("/dev", "null", true)).toBeUndefined();
  });
});
