import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Glob } from "bun";

/** What Bun 1.4.5 is published for. Names without "musl" need glibc. */
export const targets = [
  "linux-x64",
  "linux-x64-musl",
  "linux-arm64",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
  "windows-x64",
  "windows-arm64",
] as const;
export type Target = (typeof targets)[number];

const root = resolve(import.meta.dir, "..");
export const dist = join(root, "dist");

/** A target that was built, or the last words of the builder. */
export type Built = { readonly file: string; readonly megabytes: number } | { readonly problem: string };

/** Builds one executable; `target` undefined is this platform. The file appears at once, or not at all. */
export async function compile(target: Target | undefined, { bytecode = true } = {}): Promise<Built> {
  const suffix = target?.startsWith("windows") === true ? ".exe" : "";
  const name = `penstock${target === undefined ? "" : `-${target}`}${bytecode ? "" : "-without-bytecode"}${suffix}`;
  await mkdir(dist, { recursive: true });
  const workshop = await mkdtemp(join(dist, ".build-"));
  try {
    // Threads are entry points of their own; they are found beside the main one, by their plain name.
    const workers = [...new Glob("src/**/*-worker.ts").scanSync(root)];
    const child = Bun.spawn(
      [
        process.execPath,
        "build",
        "--compile",
        ...(target === undefined ? [] : [`--target=bun-${target}`]),
        "--minify",
        "--keep-names",
        "--sourcemap",
        ...(bytecode ? ["--bytecode"] : []),
        "--format=esm",
        // Without these the executable would run a bunfig.toml's preload, and read .env, of the folder it is started in.
        "--no-compile-autoload-bunfig",
        "--no-compile-autoload-dotenv",
        "--entry-naming=[name].[ext]",
        "src/main.ts",
        ...workers,
        "--outfile",
        join(workshop, name),
      ],
      { cwd: root, stdout: "pipe", stderr: "pipe" },
    );
    const [said, complained, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (code !== 0) return { problem: `${said}${complained}`.trim() };
    const file = join(dist, name);
    await rename(join(workshop, name), file);
    return { file, megabytes: (await stat(file)).size / 1e6 };
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
}
