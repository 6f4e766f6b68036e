import { describe, expect, test } from "bun:test";
import { appendFile, chmod, mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { readTextFile } from "../../../src/config/read-file.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

/** Makes a named pipe that nobody writes to. */
function makePipe(path: string): void {
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
}

describe("readTextFile()", () => {
  test("gives the text of a file, with and without a link to it", async () => {
    await using folder = await makeFolder({ file: "zwölf\n", empty: "" });
    await symlink("file", join(folder.path, "link"));
    for (const name of ["file", "link"])
      expect(await readTextFile(join(folder.path, name), "users")).toEqual({ ok: true, text: "zwölf\n" });
    expect(await readTextFile(join(folder.path, "empty"), "users")).toEqual({ ok: true, text: "" });
  });

  test("reads files whose size says nothing, such as those of /proc", async () => {
    const read = await readTextFile("/proc/self/status", "secret");
    expect(read.ok && read.text).toContain("VmRSS");
  });

  test("does not wait for a named pipe, however many there are", async () => {
    await using folder = await makeFolder({});
    const paths = Array.from({ length: 64 }, (_, at) => join(folder.path, `pipe-${at}`));
    for (const path of paths) makePipe(path);
    const read = await Promise.all(paths.map((path) => readTextFile(path, "pem")));
    expect(new Set(read.map((each) => (each.ok ? "" : each.reason)))).toEqual(
      new Set(["it is a named pipe and not a regular file"]),
    );
  });

  test("reads neither devices nor folders, nor follows links without end", async () => {
    await using folder = await makeFolder({});
    await symlink("/dev/zero", join(folder.path, "zero"));
    await symlink("circle", join(folder.path, "circle"));
    await mkdir(join(folder.path, "folder"));
    const reasons = ["zero", "circle", "folder", "nothing"].map(async (name) => {
      const read = await readTextFile(join(folder.path, name), "config");
      return read.ok ? "read" : read.reason;
    });
    expect(await Promise.all(reasons)).toEqual([
      "it is not a regular file",
      "its links lead in a circle",
      "it is a folder",
      "there is no such file or folder",
    ]);
  });

  test("reads a file of the largest size for its kind, and none that is larger", async () => {
    await using folder = await makeFolder({ secret: "" });
    const path = join(folder.path, "secret");
    await truncate(path, 64 * 1024);
    expect(await readTextFile(path, "secret")).toMatchObject({ ok: true });
    await appendFile(path, "x");
    expect(await readTextFile(path, "secret")).toEqual({ ok: false, reason: "it is larger than 64 KiB" });
    await truncate(path, 2 ** 40);
    expect(await readTextFile(path, "users")).toEqual({ ok: false, reason: "it is larger than 64 MiB" });
  });

  test("leaves no descriptor open, whatever the file is", async () => {
    await using folder = await makeFolder({ file: "text" });
    makePipe(join(folder.path, "pipe"));
    await writeFile(join(folder.path, "closed"), "", { mode: 0o000 });
    await chmod(join(folder.path, "closed"), 0o000);
    const count = (): number =>
      Bun.spawnSync(["ls", `/proc/${process.pid}/fd`])
        .stdout.toString()
        .split("\n").length;
    await readTextFile(join(folder.path, "file"), "secret");
    const before = count();
    for (let round = 0; round < 50; round++)
      for (const name of ["file", "pipe", "closed", "."]) await readTextFile(join(folder.path, name), "secret");
    expect(count()).toBeLessThan(before + 20);
  });
});
