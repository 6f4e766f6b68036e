import { describe, expect, test } from "bun:test";
import { chmod, lchown, lstat, mkdir, open, readdir, readlink, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { openPrivateFile } from "../../../src/cli/open-private-file.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

async function write(path: string, text: string): Promise<string | undefined> {
  const opened = await openPrivateFile(path);
  if (!opened.ok) return opened.reason;
  await opened.file.writeFile(text);
  await opened.file.close();
  return undefined;
}

async function readMode(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

describe("openPrivateFile()", () => {
  test("makes a file that nobody else can read, whatever was there and whoever has it open", async () => {
    await using folder = await makeFolder({ old: "everybody may read this" });
    const path = join(folder.path, "old");
    await chmod(path, 0o666);
    const reader = await open(path, "r");
    for (const name of ["new", "old"]) {
      expect(await write(join(folder.path, name), "secret")).toBeUndefined();
      expect(await readMode(join(folder.path, name))).toBe(0o600);
      expect(await folder.read(name)).toBe("secret");
    }
    expect(await reader.readFile("utf8")).toBe("everybody may read this");
    await reader.close();
    expect((await readdir(folder.path)).sort()).toEqual(["new", "old"]);
  });

  test("follows a link of one's own, and none of another user", async () => {
    await using folder = await makeFolder({ victim: "precious", target: "old" });
    const [own, foreign] = [join(folder.path, "own"), join(folder.path, "foreign")];
    await symlink("target", own);
    await symlink("victim", foreign);
    expect(await write(own, "secret")).toBeUndefined();
    expect(await readlink(own)).toBe("target");
    expect(await folder.read("target")).toBe("secret");
    expect(await readMode(join(folder.path, "target"))).toBe(0o600);
    if (process.geteuid?.() !== 0) return;
    await lchown(foreign, 65_534, 65_534);
    expect(await write(foreign, "secret")).toBe("it is a link of another user");
    expect(await folder.read("victim")).toBe("precious");
  });

  test("writes into a device and leaves it as it is", async () => {
    await using folder = await makeFolder({});
    const link = join(folder.path, "null");
    await symlink("/dev/null", link);
    const before = await readMode("/dev/null");
    for (const path of [link, "/dev/null"]) expect(await write(path, "secret")).toBeUndefined();
    expect(await readMode("/dev/null")).toBe(before);
    expect((await lstat(link)).isSymbolicLink()).toBeTrue();
    expect((await stat("/dev/null")).isCharacterDevice()).toBeTrue();
  });

  test("says why there can be no file, and makes no folders", async () => {
    await using folder = await makeFolder({});
    await mkdir(join(folder.path, "folder"));
    expect(await write(join(folder.path, "none", "file"), "secret")).toBe("there is no such folder");
    expect(await write(join(folder.path, "folder"), "secret")).toBe("it is a folder");
    expect(await readdir(folder.path)).toEqual(["folder"]);
  });
});
