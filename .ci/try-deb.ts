/**
 * Installs, upgrades, removes and purges a Debian package in a chroot of Debian 12,
 * as dpkg does, with a tunnel that is open during the upgrades. It runs in
 * namespaces of its own, so nothing is left behind.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { layRoot, readTrialArgs, runApart } from "./debian-root.ts";

const HELP = `Usage: .ci/try-deb [--base FILE.tar] FILE.deb [NEXT.deb]

Needs root and mmdebstrap.
NEXT.deb  is upgraded to. Default: the same package with a higher version.
--base    a Debian 12 with adduser and init-system-helpers; made when it is not there. Default: made each time.`;

async function main(args: readonly string[]): Promise<number> {
  const order = readTrialArgs(args);
  if (order === undefined) {
    console.error(HELP);
    return args[0] === "--help" ? 0 : 2;
  }
  const folder = await mkdtemp(join(tmpdir(), "penstock-try-deb-"));
  try {
    const root = await layRoot(folder, { ...order, packages: [] });
    return await runApart(join(import.meta.dir, "try-deb-inside.ts"), root, 'mount -t proc proc "$1/proc";');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.slice(2));
