import { mkdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { run } from "./package-deb.ts";

/** What is tried, and in which Debian. */
export interface TrialOrder {
  /** A file with a Debian root; undefined: made for this trial alone. */
  readonly base: string | undefined;
  /** Packages of the root beside the minimal ones. */
  readonly packages: readonly string[];
  readonly first: string;
  /** Undefined: the first one with a higher version. */
  readonly next: string | undefined;
}

/** Reads `[--base FILE.tar] FILE.deb [NEXT.deb]`; undefined for anything else. */
export function readTrialArgs(args: readonly string[]): Pick<TrialOrder, "base" | "first" | "next"> | undefined {
  const [base, files] = args[0] === "--base" ? [args[1], args.slice(2)] : [undefined, args];
  const [first, next] = files;
  if (first === undefined || first.startsWith("-") || files.length > 2) return undefined;
  return { base, first, next };
}

/** Lays a Debian 12 into `folder/root`, with the packages to try at /first.deb and /next.deb. Gives its path. */
export async function layRoot(folder: string, { base, packages, first, next }: TrialOrder): Promise<string> {
  const tar = resolve(base ?? join(folder, "base.tar"));
  if (!existsSync(tar)) await makeBase(tar, packages);
  const root = join(folder, "root");
  await mkdir(root);
  await run(["tar", "-xf", tar, "-C", root]);
  await Bun.write(join(root, "first.deb"), Bun.file(first));
  await Bun.write(join(root, "next.deb"), Bun.file(next ?? (await repack(resolve(first), folder))));
  // The services of packages start, as they do on a machine.
  await rm(join(root, "usr/sbin/policy-rc.d"), { force: true });
  return root;
}

/** A minimal Debian with what the package depends on. */
async function makeBase(file: string, packages: readonly string[]): Promise<void> {
  console.log("Making a minimal Debian 12.");
  await run([
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--dpkgopt=force-unsafe-io",
    `--include=${["usr-is-merged", "adduser", "init-system-helpers", ...packages].join(",")}`,
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

/** Runs one of these scripts in namespaces of its own, which take away all that it starts. Gives its exit code. */
export async function runApart(script: string, root: string, prepare = ""): Promise<number> {
  // The shell stays, as process 1: it takes away processes whose parent has ended, as an init does.
  const command = `ip link set lo up; ${prepare} "$2" "$3" "$1" || exit 1; exit 0`;
  const apart = "unshare --mount --net --pid --fork --kill-child --mount-proc".split(" ");
  const child = Bun.spawn([...apart, "sh", "-ec", command, "sh", root, process.execPath, script], {
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  return child.exited;
}
