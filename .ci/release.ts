/**
 * Makes a release in dist/release: for each platform the executable and an archive,
 * Debian packages, a bill of materials and SHA256SUMS. The same source gives the
 * same bytes; `--check` shows that for this platform.
 */
import { cp, copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { compressXz, writeTar } from "./archive.ts";
import { writeChecksums } from "./checksums.ts";
import { compile, dist, type Target, targets } from "./compile.ts";
import { debianArchitectures, nameDebianVersion, run, writeDeb } from "./package-deb.ts";
import { listArchive, listMissing, type PackageTexts, readTexts, root } from "./package-files.ts";
import { writeSbom } from "./sbom.ts";
import { writeThirdParty } from "./third-party.ts";

const HELP = `Usage: .ci/release [--fast] [--target NAME]... | --check | --smoke

Without a target, all of: ${targets.join(", ")}.
--fast   hardly compresses.
--check  builds this platform's release twice, --fast and in two folders, and compares the bytes.
--smoke  makes and tries the Debian package of dist/penstock, which must be built.
SOURCE_DATE_EPOCH is the time of all files. Default: the time of the last commit.`;

const { version } = manifest;
const folder = join(dist, "release");
/** Of xz. Slower levels gain 2 % of the size. */
const LEVEL = 6;

async function readTime(): Promise<number> {
  const given = process.env["SOURCE_DATE_EPOCH"];
  const time = Number(given ?? (await run(["git", "log", "-1", "--format=%ct"])));
  if (!Number.isSafeInteger(time) || time <= 0)
    throw new Error(`SOURCE_DATE_EPOCH is ${given}. Wanted are seconds since 1970.`);
  return time;
}

/** Makes what there is for a platform; gives the names of the files. */
async function releaseTarget(
  target: Target,
  texts: PackageTexts,
  time: number,
  level: number,
): Promise<readonly string[]> {
  const built = await compile(target);
  if ("problem" in built) throw new Error(`${target} was not built:\n${built.problem}`);
  const isWindows = target.startsWith("windows");
  const name = `penstock-${version}-${target}`;
  const executable = await Bun.file(built.file).bytes();
  const bare = join(folder, basename(built.file));
  await copyFile(built.file, bare);
  const archive = join(folder, `${name}.tar.xz`);
  const files = listArchive({ folder: name, executable, isWindows }, texts);
  await Bun.write(archive, await compressXz(writeTar(files, time), level));
  const architecture = Object.entries(debianArchitectures).find(([each]) => each === target)?.[1];
  if (architecture === undefined) return [bare, archive];
  const deb = join(folder, nameDeb(architecture));
  await writeDeb({ executable, architecture, version, time, texts, level, file: deb });
  return [bare, archive, deb];
}

function nameDeb(architecture: string): string {
  return `penstock_${nameDebianVersion(version)}_${architecture}.deb`;
}

async function release(wanted: readonly Target[], level: number): Promise<void> {
  const [texts, time] = await Promise.all([readTexts(await writeThirdParty()), readTime()]);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const sbom = join(folder, `penstock-${version}.cdx.json`);
  await Bun.write(sbom, await writeSbom(version, time));
  const files: string[] = [sbom];
  for (const [index, target] of wanted.entries()) {
    console.log(`[${index + 1}/${wanted.length}] ${target}`);
    files.push(...(await releaseTarget(target, texts, time, level)));
  }
  await writeChecksums(folder, files.toSorted());
  for (const file of files.toSorted()) console.log(`${basename(file)}, ${(Bun.file(file).size / 1e6).toFixed(1)} MB`);
  const missing = listMissing(texts);
  if (missing.length > 0) throw new Error(`This is no release: the packages lack ${missing.join(", ")}.`);
}

function nameOwnTarget(): Target {
  const target = targets.find((each) => each === `${process.platform}-${process.arch}`);
  if (target === undefined) throw new Error(`There is no release for ${process.platform}-${process.arch}.`);
  return target;
}

/** Copies what is under version control to two folders and releases from there. Packages are installed anew. */
async function check(): Promise<void> {
  const time = await readTime();
  const names = (await run(["git", "ls-files", "-z"])).split("\0").filter(Boolean);
  const sums: string[] = [];
  for (const place of ["one", "another-one-with-a-longer-name"]) {
    const parent = await mkdtemp(join(tmpdir(), "penstock-release-"));
    const copy = join(parent, place);
    try {
      for (const name of names) await cp(join(root, name), join(copy, name));
      await run([process.execPath, "install", "--frozen-lockfile", "--silent", "--cwd", copy]);
      const child = Bun.spawn([process.execPath, ".ci/release.ts", "--fast", "--target", nameOwnTarget()], {
        cwd: copy,
        env: { ...process.env, SOURCE_DATE_EPOCH: String(time) },
        stdout: "inherit",
        stderr: "inherit",
      });
      const code = await child.exited;
      if (code !== 0) throw new Error(`The release in ${copy} gave ${code}.`);
      sums.push(await Bun.file(join(copy, "dist/release/SHA256SUMS")).text());
    } finally {
      await rm(parent, { recursive: true, force: true });
    }
  }
  const [one = "", another = ""] = sums;
  console.log(one);
  if (one !== another) throw new Error(`The second build differs:\n${another}`);
  console.log("Both builds are the same bytes.");
}

/** The package of an executable that is there, unpacked and run: seconds, for each change. */
async function smoke(): Promise<void> {
  const architecture = Object.entries(debianArchitectures).find(([each]) => each === nameOwnTarget())?.[1] ?? "";
  const parent = await mkdtemp(join(tmpdir(), "penstock-smoke-"));
  try {
    const file = join(parent, nameDeb(architecture));
    const executable = await Bun.file(join(dist, "penstock")).bytes();
    const texts = await readTexts(await writeThirdParty());
    await writeDeb({ executable, architecture, version, time: await readTime(), texts, level: 0, file });
    const listed = await run(["dpkg-deb", "--contents", file]);
    if (
      !listed
        .trim()
        .split("\n")
        .every((line) => line.includes(" root/root "))
    )
      throw new Error(`Not everything belongs to root in:\n${listed}`);
    const needed = [
      "etc/penstock/proxy.config.json",
      "lib/systemd/system/penstock.service",
      "usr/share/doc/penstock/third-party.gz",
      "var/lib/penstock/",
    ];
    for (const name of needed) if (!listed.includes(`./${name}\n`)) throw new Error(`${name} is not in:\n${listed}`);
    await run(["dpkg-deb", "--extract", file, join(parent, "root")]);
    for (const script of ["postinst", "prerm", "postrm"]) await run(["sh", "-n", `.ci/debian/${script}`]);
    const penstock = join(parent, "root/usr/bin/penstock");
    const said = await run([penstock, "version"]);
    if (!said.startsWith(`penstock ${version} (`)) throw new Error(`The executable of the package says ${said}`);
    await run([penstock, "check", "--config", join(parent, "root/etc/penstock/proxy.config.json")]);
    console.log(`${basename(file)}: ${said.trim()}`);
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

async function main(args: readonly string[]): Promise<void> {
  const [first = "", ...rest] = args;
  if (first === "--help") return console.log(HELP);
  if (first === "--check" && rest.length === 0) return check();
  if (first === "--smoke" && rest.length === 0) return smoke();
  const wanted: Target[] = [];
  const isFast = first === "--fast";
  for (let at = isFast ? 1 : 0; at < args.length; at += 2) {
    const target = args[at] === "--target" ? targets.find((known) => known === args[at + 1]) : undefined;
    if (target === undefined) throw new Error(`Unknown argument "${args[at] ?? ""} ${args[at + 1] ?? ""}".\n${HELP}`);
    wanted.push(target);
  }
  return release(wanted.length === 0 ? targets : wanted, isFast ? 0 : LEVEL);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
