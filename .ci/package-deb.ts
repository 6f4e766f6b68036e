import { chmod, mkdir, mkdtemp, rename, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ArchivedFile, compressGzip } from "./archive.ts";
import { type PackageTexts, read, root } from "./package-files.ts";

/** Our names of architectures, and Debian's. */
export const debianArchitectures = { "linux-x64": "amd64", "linux-arm64": "arm64" } as const;

export interface DebOrder {
  readonly executable: Uint8Array;
  readonly architecture: string;
  readonly version: string;
  /** Seconds since 1970. */
  readonly time: number;
  readonly texts: PackageTexts;
  /** Of xz, 1 to 9; 0 does not compress. */
  readonly level: number;
  readonly file: string;
}

/** Makes a package with dpkg-deb, without debhelper: nothing strips the executable, and the bytes go by the content alone. */
export async function writeDeb(order: DebOrder): Promise<void> {
  const workshop = await mkdtemp(join(tmpdir(), "penstock-deb-"));
  const tree = join(workshop, "tree");
  try {
    const files = await listFiles(order);
    const scripts = ["postinst", "prerm", "postrm"].map(
      async (name) => [name, await read(`.ci/debian/${name}`)] as const,
    );
    for (const { name, content, mode } of files) await put(join(tree, name), content, mode);
    await mkdir(join(tree, "var/lib/penstock"), { recursive: true });
    for (const [name, text] of await Promise.all(scripts)) await put(join(tree, "DEBIAN", name), text, 0o755);
    await put(join(tree, "DEBIAN/conffiles"), "/etc/penstock/proxy.config.json\n", 0o644);
    await put(join(tree, "DEBIAN/md5sums"), writeSums(files), 0o644);
    await put(join(tree, "DEBIAN/control"), writeControl(order, files), 0o644);
    await setTimes(tree, order.time);
    const made = join(workshop, "made.deb");
    await run(
      [
        "dpkg-deb",
        "--root-owner-group",
        "--threads-max=1",
        ...(order.level === 0 ? ["-Znone"] : ["-Zxz", `-z${order.level}`]),
        "--build",
        tree,
        made,
      ],
      {
        SOURCE_DATE_EPOCH: String(order.time),
      },
    );
    await chmod(made, 0o644);
    await copyWhole(made, order.file);
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}

async function listFiles({ executable, version, time, texts }: DebOrder): Promise<readonly ArchivedFile[]> {
  const text = (name: string, content: string | Uint8Array | undefined): readonly ArchivedFile[] =>
    content === undefined ? [] : [{ name, content: Buffer.from(content), mode: 0o644 }];
  const [config, copyright, overrides] = await Promise.all(
    ["proxy.config.json", "copyright", "lintian-overrides"].map((name) => read(`.ci/debian/${name}`)),
  );
  return [
    { name: "usr/bin/penstock", content: executable, mode: 0o755 },
    ...text("etc/penstock/proxy.config.json", config),
    ...text("lib/systemd/system/penstock.service", texts.debianUnit),
    ...text("usr/share/man/man1/penstock.1.gz", texts.manual && compressGzip(texts.manual)),
    ...text("usr/share/bash-completion/completions/penstock", texts.completions.bash),
    ...text("usr/share/zsh/vendor-completions/_penstock", texts.completions.zsh),
    ...text("usr/share/fish/vendor_completions.d/penstock.fish", texts.completions.fish),
    ...text("usr/share/doc/penstock/copyright", copyright),
    ...text("usr/share/doc/penstock/third-party.gz", compressGzip(texts.thirdParty)),
    ...text("usr/share/doc/penstock/changelog.gz", compressGzip(texts.changelog)),
    ...text("usr/share/doc/penstock/changelog.Debian.gz", compressGzip(writeDebianChangelog(version, time))),
    ...text("usr/share/lintian/overrides/penstock", overrides),
  ];
}

/** `1.0.0-rc.1` comes before `1.0.0`: Debian writes a tilde for that. */
export function nameDebianVersion(version: string): string {
  return `${version.replace("-", "~")}-1`;
}

const MAINTAINER = "The Penstock authors <maintainers@penstock.example>";

function writeDebianChangelog(version: string, time: number): string {
  const date = new Date(time * 1000).toUTCString().replace("GMT", "+0000");
  return `penstock (${nameDebianVersion(version)}) unstable; urgency=medium\n\n  * Release ${version}. See changelog.gz.\n\n -- ${MAINTAINER}  ${date}\n`;
}

function writeControl({ architecture, version }: DebOrder, files: readonly ArchivedFile[]): string {
  const kibibytes = files.reduce((sum, { content }) => sum + Math.ceil(content.length / 1024), 0);
  return [
    "Package: penstock",
    `Version: ${nameDebianVersion(version)}`,
    `Architecture: ${architecture}`,
    `Maintainer: ${MAINTAINER}`,
    `Installed-Size: ${kibibytes}`,
    // What the executable is linked to: GLIBC_2.17 is the newest symbol, Bun asks for more at run time.
    "Depends: libc6 (>= 2.28), adduser, init-system-helpers (>= 1.54~)",
    "Suggests: xz-utils",
    "Section: net",
    "Priority: optional",
    "Description: forward proxy in a single executable",
    " Penstock is a forward proxy: CONNECT tunnels, plain HTTP requests and SOCKS on",
    " one port, with rules, users, limits and chains of upstream proxies. It parses",
    " strictly, refuses special-purpose addresses unless a rule allows them, and",
    " hands over to a new version of itself without the loss of a tunnel.",
    "",
  ].join("\n");
}

function writeSums(files: readonly ArchivedFile[]): string {
  return files
    .filter(({ name }) => !name.startsWith("etc/"))
    .map(({ name, content }) => `${new Bun.CryptoHasher("md5").update(content).digest("hex")}  ${name}\n`)
    .toSorted((a, b) => (a.slice(34) < b.slice(34) ? -1 : 1))
    .join("");
}

async function put(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await Bun.write(path, content);
  await chmod(path, mode);
}

/** Folders too, from the innermost outwards. */
async function setTimes(tree: string, time: number): Promise<void> {
  const names = await Array.fromAsync(new Bun.Glob("**/*").scan({ cwd: tree, dot: true, onlyFiles: false }));
  for (const name of [...names.toSorted().toReversed(), "."]) {
    const path = join(tree, name);
    await utimes(path, time, time);
    const { mode } = await Bun.file(path).stat();
    if ((mode & 0o170000) === 0o040000) await chmod(path, 0o755);
  }
}

async function copyWhole(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  const near = `${to}.new`;
  await Bun.write(near, Bun.file(from));
  await rename(near, to);
}

/** Runs a program that must succeed. */
export async function run(command: string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const child = Bun.spawn(command, { cwd: root, env: { ...process.env, ...env }, stdout: "pipe", stderr: "pipe" });
  const [said, complained, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")} gave ${code}:\n${said}${complained}`);
  return said;
}
