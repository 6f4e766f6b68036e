/**
 * Installs a Debian package in a Debian 12 with a systemd that runs, and does there
 * what an operator does: reload, upgrade under a tunnel, stop, faults, removal. Then
 * the same with the unit of `penstock service` and with `penstock upgrade`. systemd
 * runs in namespaces of its own, so nothing is left behind.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { layRoot, readTrialArgs, runApart } from "./debian-root.ts";
import { run } from "./package-deb.ts";

const HELP = `Usage: .ci/try-systemd [--base FILE.tar] FILE.deb [NEXT.deb]

Needs root, mmdebstrap and a kernel with control groups, version 2.
NEXT.deb  is upgraded to. Default: the same package with a higher version.
--base    a Debian 12 with adduser, systemd and dbus; made when it is not there. Default: made each time.`;

async function main(args: readonly string[]): Promise<number> {
  const order = readTrialArgs(args);
  if (order === undefined) {
    console.error(HELP);
    return args[0] === "--help" ? 0 : 2;
  }
  const folder = await mkdtemp(join(tmpdir(), "penstock-try-systemd-"));
  const groups = join(folder, "groups");
  await mkdir(groups);
  try {
    const root = await layRoot(folder, { ...order, packages: ["systemd", "systemd-sysv", "dbus"] });
    const mount = `mount -t cgroup2 cgroup2 ${groups}; mkdir ${groups}/${basename(folder)};`;
    return await runApart(join(import.meta.dir, "try-systemd-inside.ts"), root, mount);
  } finally {
    const tidy = 'mount -t cgroup2 cgroup2 "$1"; [ ! -d "$1/$2" ] || find "$1/$2" -depth -type d -exec rmdir {} +';
    await run(["unshare", "--mount", "sh", "-ec", tidy, "sh", groups, basename(folder)]);
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
