import { join, resolve } from "node:path";
import type { ArchivedFile } from "./archive.ts";

export const root = resolve(import.meta.dir, "..");

type Shell = "bash" | "zsh" | "fish";

/** Texts that go with the executable: made by it, or kept in the repository. */
export interface PackageTexts {
  /** Undefined: this version has no such command. */
  readonly manual: string | undefined;
  readonly completions: Readonly<Record<Shell, string | undefined>>;
  /** For the archive: a user that exists only while the service runs. */
  readonly unit: string;
  /** For the package: its own user, and the paths of Debian. */
  readonly debianUnit: string;
  readonly license: string;
  readonly changelog: string;
  /** The licences of the packages in the executable. */
  readonly thirdParty: string;
}

/** Has the source of this version write its manual, completions and units. Throws when it cannot. */
export async function readTexts(thirdParty: string): Promise<PackageTexts> {
  const [manual, bash, zsh, fish] = await Promise.all([
    askIfKnown("man"),
    askIfKnown("completions", "bash"),
    askIfKnown("completions", "zsh"),
    askIfKnown("completions", "fish"),
  ]);
  const [unit, debianUnit, license, changelog] = await Promise.all([
    ask("service", "--executable", "/usr/local/bin/penstock"),
    ask("service", "--executable", "/usr/bin/penstock", "--user", "penstock"),
    read("LICENSE"),
    read("CHANGELOG.md"),
  ]);
  return { manual, completions: { bash, zsh, fish }, unit, debianUnit, license, changelog, thirdParty };
}

async function ask(...args: readonly string[]): Promise<string> {
  const text = await askIfKnown(...args);
  if (text === undefined) throw new Error(`There is no command "${args[0] ?? ""}"`);
  return text;
}

async function askIfKnown(...args: readonly string[]): Promise<string | undefined> {
  const child = Bun.spawn([process.execPath, "src/main.ts", ...args], { cwd: root, stdout: "pipe", stderr: "pipe" });
  const [text, complaint, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code === 2 && complaint.startsWith("Unknown command")) return undefined;
  if (code !== 0 || text === "") throw new Error(`"penstock ${args.join(" ")}" gave ${code}: ${complaint.trim()}`);
  return text;
}

/** What should be in the packages, and is not: a release without it is none. */
export function listMissing({ manual, completions }: PackageTexts): readonly string[] {
  const shells = Object.entries(completions).filter(([, text]) => text === undefined);
  return [
    ...(manual === undefined ? ["the man page (penstock man)"] : []),
    ...shells.map(([shell]) => `completions for ${shell} (penstock completions ${shell})`),
  ];
}

export function read(name: string): Promise<string> {
  return Bun.file(join(root, name)).text();
}

/** What is in the archive of a platform, in one folder. */
export function listArchive(
  { folder, executable, isWindows }: { folder: string; executable: Uint8Array; isWindows: boolean },
  texts: PackageTexts,
): readonly ArchivedFile[] {
  const text = (name: string, content: string | undefined): readonly ArchivedFile[] =>
    content === undefined ? [] : [{ name: `${folder}/${name}`, content: Buffer.from(content), mode: 0o644 }];
  return [
    { name: `${folder}/penstock${isWindows ? ".exe" : ""}`, content: executable, mode: 0o755 },
    ...text("LICENSE", texts.license),
    ...text("THIRD-PARTY.txt", texts.thirdParty),
    ...text("CHANGELOG.md", texts.changelog),
    ...text("penstock.1", texts.manual),
    ...text("penstock.service", texts.unit),
    ...text("completions/penstock.bash", texts.completions.bash),
    ...text("completions/_penstock", texts.completions.zsh),
    ...text("completions/penstock.fish", texts.completions.fish),
  ];
}
