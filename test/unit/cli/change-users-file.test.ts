import { describe, expect, test } from "bun:test";
import { chmod, chown, lstat, readdir, stat, symlink } from "node:fs/promises";
import { join } from "node:path";

import { putUserLine } from "../../../src/cli/change-users-file.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

describe("putUserLine()", () => {
  test.each([
    ["an empty file", "", "ann:new\n"],
    ["the only line", "ann:old\n", "ann:new\n"],
    ["a line in the middle", "# users\nben:1\n ann:old\ncy:2", "# users\nben:1\nann:new\ncy:2\n"],
    ["a line that is there twice", "ann:old\nben:1\nann:older\n", "ann:new\nben:1\n"],
    ["names that begin alike", "anna:1\nan:2\n#ann:3\n", "anna:1\nan:2\n#ann:3\nann:new\n"],
    ["a last line without its end", "ben:1", "ben:1\nann:new\n"],
    ["lines that end with CRLF", "ann:old\r\nben:1\r\n", "ann:new\r\nben:1\r\n"],
    ["a byte order mark", "\ufeffann:old\n", "ann:new\n"],
  ])("puts the line of a user into %s", async (_, before, after) => {
    await using folder = await makeFolder({ users: before });
    expect(await putUserLine(join(folder.path, "users"), "ann", "ann:new")).toEqual({
      ok: true,
      replaced: /^\W*ann:old/m.test(before),
    });
    expect(await folder.read("users")).toBe(after);
    expect(await readdir(folder.path)).toEqual(["users"]);
  });

  test("makes a file that only its owner can read", async () => {
    await using folder = await makeFolder();
    const path = join(folder.path, "users");
    expect(await putUserLine(path, "ann", "ann:new")).toEqual({ ok: true, replaced: false });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  test("keeps the mode and the owner of the file, and the link that leads to it", async () => {
    await using folder = await makeFolder({ "etc/users": "ann:old\n" });
    const path = join(folder.path, "etc/users");
    await symlink("etc/users", join(folder.path, "link"));
    await chmod(path, 0o640);
    // Only root can give a file away.
    const owner = process.getuid?.() === 0 ? 65_534 : (await stat(path)).uid;
    await chown(path, owner, (await stat(path)).gid);
    const before = await stat(path);
    expect(await putUserLine(join(folder.path, "link"), "ann", "ann:new")).toEqual({ ok: true, replaced: true });
    const after = await stat(path);
    expect([after.mode, after.uid, after.gid]).toEqual([before.mode, owner, before.gid]);
    // Another file took its place at once.
    expect(after.ino).not.toBe(before.ino);
    expect((await lstat(join(folder.path, "link"))).isSymbolicLink()).toBe(true);
  });

  test("loses no line when several write at once", async () => {
    await using folder = await makeFolder({ users: "ann:1\nben:1\ncy:1\n" });
    const path = join(folder.path, "users");
    const put = (user: string) => Bun.spawn([process.execPath, "-e", script(path, user)], { stderr: "pipe" }).exited;
    expect(await Promise.all(["ann", "ben", "cy"].map(put))).toEqual([0, 0, 0]);
    expect(await folder.read("users")).toBe("ann:2\nben:2\ncy:2\n");
  });

  test("says why a file cannot be written", async () => {
    await using folder = await makeFolder({ "folder/x": "" });
    expect(await putUserLine(join(folder.path, "folder"), "ann", "ann:new")).toEqual({
      ok: false,
      message: `Cannot read ${join(folder.path, "folder")}: it is a folder.`,
    });
    expect(await putUserLine(join(folder.path, "none/users"), "ann", "ann:new")).toEqual({
      ok: false,
      message: `Cannot write ${join(folder.path, "none/users")}: there is no such folder.`,
    });
  });
});

/** A program that changes one line. */
function script(path: string, user: string): string {
  const module = JSON.stringify(join(import.meta.dir, "../../../src/cli/change-users-file.ts"));
  const call = `putUserLine(${JSON.stringify(path)}, "${user}", "${user}:2")`;
  return `const { putUserLine } = await import(${module}); process.exit((await ${call}).ok ? 0 : 1);`;
}
