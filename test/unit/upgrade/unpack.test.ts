import { expect, test } from "bun:test";
import { findInArchive, unpackExecutable } from "../../../src/upgrade/unpack.ts";
import { needs } from "../../support/needs.ts";
import { expectProgram } from "../../support/program.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const withTar = needs("tar", "xz");

withTar("the executable of an archive of a release is found, and nothing else of it is used", async () => {
  await using folder = await makeFolder({
    "penstock-1.0.0-linux-x64/penstock": "program",
    "penstock-1.0.0-linux-x64/LICENSE": "MIT",
  });
  await expectProgram(["tar", "-cJf", "a.tar.xz", "penstock-1.0.0-linux-x64"], { cwd: folder.path });
  const archive = Buffer.from(await Bun.file(`${folder.path}/a.tar.xz`).arrayBuffer());
  expect(await unpackExecutable(archive)).toEqual({ ok: true, value: Buffer.from("program") });
  const cut = await unpackExecutable(archive.subarray(0, archive.length - 20));
  expect(cut).toMatchObject({ ok: false, step: "unpack" });
});

withTar("an archive with two programs, with none, or with a link of that name is refused", async () => {
  await using folder = await makeFolder({ "a/penstock": "one", "b/penstock": "two", "c/other": "three" });
  await expectProgram(["ln", "-s", "/bin/sh", "c/penstock"], { cwd: folder.path });
  for (const [names, count] of [
    [["a", "b"], 2],
    [["c"], 0],
  ] as const) {
    await expectProgram(["tar", "-cf", "a.tar", ...names], { cwd: folder.path });
    const archive = Buffer.from(await Bun.file(`${folder.path}/a.tar`).arrayBuffer());
    expect(findInArchive(archive)).toMatchObject({
      ok: false,
      message: `The archive has ${count} files of the name penstock. Wanted is one.`,
    });
  }
});

withTar("a header with a changed byte or a size beyond the end is refused", async () => {
  await using folder = await makeFolder({ penstock: "program" });
  await expectProgram(["tar", "-cf", "a.tar", "penstock"], { cwd: folder.path });
  const archive = Buffer.from(await Bun.file(`${folder.path}/a.tar`).arrayBuffer());
  for (let at = 0; at < 148; at += 1) {
    const changed = Buffer.from(archive);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(findInArchive(changed).ok).toBe(false);
  }
  expect(findInArchive(archive.subarray(0, 515))).toMatchObject({ message: "The archive is not a whole tar archive." });
});

test("a file that is no archive is the executable itself", async () => {
  expect(await unpackExecutable(Buffer.from("\x7fELF"))).toEqual({ ok: true, value: Buffer.from("\x7fELF") });
});
