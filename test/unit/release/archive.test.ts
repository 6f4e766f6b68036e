import { expect } from "bun:test";
import { type ArchivedFile, compressGzip, compressXz, writeTar } from "../../../.ci/archive.ts";
import { nameDebianVersion } from "../../../.ci/package-deb.ts";
import { unpackExecutable } from "../../../src/upgrade/unpack.ts";
import { needs } from "../../support/needs.ts";
import { expectProgram } from "../../support/program.ts";
import { makeFolder } from "../../support/temporary-folder.ts";

const files: readonly ArchivedFile[] = [
  { name: "penstock-1/penstock", content: Buffer.from("program".repeat(200)), mode: 0o755 },
  { name: "penstock-1/LICENSE", content: Buffer.from("MIT"), mode: 0o644 },
];
const TIME = Date.UTC(2026, 10, 28) / 1000;

const withTar = needs("tar", "xz");

withTar("an archive of a release has the same bytes in any order of its files", async () => {
  const one = await compressXz(writeTar(files, TIME), 6);
  const other = await compressXz(writeTar(files.toReversed(), TIME), 6);
  expect(one.equals(other)).toBe(true);
});

withTar("an archive of a release is what tar and penstock upgrade read", async () => {
  await using folder = await makeFolder();
  const archive = await compressXz(writeTar(files, TIME), 6);
  await Bun.write(`${folder.path}/a.tar.xz`, archive);
  const listed = await expectProgram(["tar", "--utc", "-tvJf", "a.tar.xz"], { cwd: folder.path, env: { TZ: "UTC" } });
  expect(listed).toBe(
    "-rw-r--r-- root/root         3 2026-11-28 00:00 penstock-1/LICENSE\n" +
      "-rwxr-xr-x root/root      1400 2026-11-28 00:00 penstock-1/penstock\n",
  );
  expect(await unpackExecutable(archive)).toEqual({ ok: true, value: Buffer.from("program".repeat(200)) });
});

needs("gzip")("a compressed text has neither a time nor a name", async () => {
  const bytes = compressGzip("text");
  expect([...bytes.slice(0, 8)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
  await using folder = await makeFolder();
  await Bun.write(`${folder.path}/a.gz`, bytes);
  expect(await expectProgram(["gzip", "-dc", "a.gz"], { cwd: folder.path })).toBe("text");
  expect(nameDebianVersion("1.0.0-rc.1")).toBe("1.0.0~rc.1-1");
});
