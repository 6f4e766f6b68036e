import { describe, expect, test } from "bun:test";
import { chmod, lchown, lstat, mkdir, open, readdir, readlink, stat, symlink } from "node:fs/promises";
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

  test("replaces it by one that nobody else can read when it is forced to, whoever has it open", async () => {
    await using folder = await makeFolder({ x: "everybody may read this" });
    await chmod(join(folder.path, "x"), 0o666);
    const reader = await open(join(folder.path, "x"), "r");
    for (const name of ["x", "y"]) {
      expect(await write(folder.path, name, true)).toBeUndefined();
      expect([await folder.read(name), await readMode(join(folder.path, name))]).toEqual(["new", "600"]);
    }
    expect(await reader.readFile("utf8")).toBe("everybody may read this");
    await reader.close();
    expect((await readdir(folder.path)).sort()).toEqual(["x", "y"]);
  });

  test("follows a link of one's own when it is forced to, and none of another user", async () => {
    await using folder = await makeFolder({ victim: "precious", target: "old" });
    await symlink("target", join(folder.path, "own"));
    await symlink("victim", join(folder.path, "foreign"));
    expect(await write(folder.path, "own", true)).toBeUndefined();
    expect(await readlink(join(folder.path, "own"))).toBe("target");
    expect([await folder.read("target"), await readMode(join(folder.path, "target"))]).toEqual(["new", "600"]);
    if (process.geteuid?.() !== 0) return;
    await lchown(join(folder.path, "foreign"), 65_534, 65_534);
    for (const force of [false, true])
      expect(await write(folder.path, "foreign", force)).toBe("Cannot write foreign: it is a link of another user.");
    expect(await folder.read("victim")).toBe("precious");
  });

  test("makes no folder, and takes none for a file", async () => {
    await using folder = await makeFolder();
    await mkdir(join(folder.path, "folder"));
    for (const force of [false, true])
      expect(await write(folder.path, "none/x", force)).toBe("Cannot write none/x: there is no such folder.");
    for (const force of [false, true])
      expect(await write(folder.path, "folder", force)).toBe("Cannot write folder: it is a folder.");
    expect(await readdir(folder.path)).toEqual(["folder"]);
  });

  test("writes to a device, forced to or not, and leaves it as it is", async () => {
    await using folder = await makeFolder();
    await symlink("/dev/null", join(folder.path, "null"));
    const before = await readMode("/dev/null");
    for (const force of [false, true])
      for (const where of ["/dev", folder.path]) expect(await write(where, "null", force)).toBeUndefined();
    expect(await readMode("/dev/null")).toBe(before);
    expect((await lstat(join(folder.path, "null"))).isSymbolicLink()).toBeTrue();
    expect((await stat("/dev/null")).isCharacterDevice()).toBeTrue();
  });
});
