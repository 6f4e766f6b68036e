/**
 * Installs, upgrades, removes and purges a Debian package in a chroot of Debian 12,
 * as dpkg does, with a tunnel that is open during the upgrades. It runs in
 * namespaces of its own, so nothing is left behind.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { run } from "./package-deb.ts";

const HELP = `Usage: .ci/try-deb [--base FILE.tar] FILE.deb [NEXT.deb]

Needs root and mmdebstrap.
NEXT.deb  is upgraded to. Default: the same package with a higher version.
--base    a Debian 12 with adduser and init-system-helpers; made when it is not there. Default: made each time.`;

/** A minimal Debian with what the package depends on. */
async function makeBase(file: string): Promise<void> {
  console.log("Making a minimal Debian 12.");
  await run([
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--dpkgopt=force-unsafe-io",
    "--include=usr-is-merged,adduser,init-system-helpers",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "bookworm",
    file,
  ]);
}

/** Gives the same package a higher version. */
async function repack(deb: string, folder: string): Promise<string> {
  const tree = join(folder, "tree");
  const next = join(folder, "next.deb");
  await run(["dpkg-deb", "--raw-extract", deb, tree]);
  const control = join(tree, "DEBIAN/control");
  await Bun.write(control, (await Bun.file(control).text()).replace(/^Version: .*/m, "$&+next"));
  await run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, next]);
  await rm(tree, { recursive: true });
  return next;
}

async function main(args: readonly string[]): Promise<number> {
  const [base, files] = args[0] === "--base" ? [args[1], args.slice(2)] : [undefined, args];
  const [first, next] = files;
  if (first === undefined || first.startsWith("-") || files.length > 2) {
    console.error(HELP);
    return first === "--help" ? 0 : 2;
  }
  const folder = await mkdtemp(join(tmpdir(), "penstock-try-deb-"));
  try {
    const tar = base ?? join(folder, "base.tar");
    if (!existsSync(tar)) await makeBase(resolve(tar));
    const chroot = join(folder, "root");
    await mkdir(chroot);
    await run(["tar", "-xf", resolve(tar), "-C", chroot]);
    await Bun.write(join(chroot, "first.deb"), Bun.file(first));
    await Bun.write(join(chroot, "next.deb"), Bun.file(next ?? (await repack(resolve(first), folder))));
    const inside = join(import.meta.dir, "try-deb-inside.ts");
    // The shell stays, as process 1: it takes away processes whose parent has ended, as an init does.
    const prepare = 'ip link set lo up; mount -t proc proc "$1/proc"; "$2" "$3" "$1" || exit 1; exit 0';
    const apart = "unshare --mount --net --pid --fork --kill-child --mount-proc".split(" ");
    const child = Bun.spawn([...apart, "sh", "-ec", prepare, "sh", chroot, process.execPath, inside], {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
    });
    return await child.exited;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
