/**
 * Makes the executables: `bun run build` for this platform, into dist/penstock;
 * `bun run build --all` for all of them; `--target linux-arm64` (repeated) for
 * some. Bun fetches the runtime of another platform from the npm registry.
 */
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Glob } from "bun";

/** What Bun 1.4.5 is published for. Names without "musl" need glibc. */
const targets = [
  "linux-x64",
  "linux-x64-musl",
  "linux-arm64",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
  "windows-x64",
  "windows-arm64",
] as const;
type Target = (typeof targets)[number];

const root = resolve(import.meta.dir, "..");
const dist = join(root, "dist");

/** A target that was built, or the last words of the builder. */
type Built = { readonly file: string; readonly megabytes: number } | { readonly problem: string };

/** Builds one executable; `target` undefined is this platform. The file appears at once, or not at all. */
async function build(target: Target | undefined): Promise<Built> {
  const suffix = target?.startsWith("windows") === true ? ".exe" : "";
  const name = `penstock${target === undefined ? "" : `-${target}`}${suffix}`;
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
        "--bytecode",
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

/** What the arguments ask for; `[undefined]` is this platform. */
function readTargets(args: readonly string[]): (Target | undefined)[] | string {
  const wanted: (Target | undefined)[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at];
    if (arg === "--all") {
      wanted.push(undefined, ...targets);
    } else if (arg === "--target") {
      at += 1;
      const target = targets.find((known) => known === args[at]);
      if (target === undefined) return `Unknown target "${args[at] ?? ""}". Wanted is one of ${targets.join(", ")}.`;
      wanted.push(target);
    } else {
      return `Unknown argument "${arg ?? ""}". Wanted is nothing, --all, or --target NAME.`;
    }
  }
  return wanted.length === 0 ? [undefined] : wanted;
}

/** Checksums of what was built, for whoever downloads it: `sha256sum -c SHA256SUMS`. */
async function writeChecksums(files: readonly string[]): Promise<void> {
  const lines = await Promise.all(
    files.map(async (file) => {
      const hasher = new Bun.CryptoHasher("sha256");
      for await (const chunk of Bun.file(file).stream()) hasher.update(chunk);
      return `${hasher.digest("hex")}  ${file.slice(dist.length + 1)}\n`;
    }),
  );
  await Bun.write(join(dist, "SHA256SUMS"), lines.join(""));
}

const wanted = readTargets(process.argv.slice(2));
if (typeof wanted === "string") {
  console.error(wanted);
  process.exit(2);
}
const files: string[] = [];
const missing: string[] = [];
for (const [index, target] of wanted.entries()) {
  const label = target ?? "this platform";
  process.stdout.write(`[${index + 1}/${wanted.length}] ${label} … `);
  const began = performance.now();
  const built = await build(target);
  if ("problem" in built) {
    console.log("failed");
    console.error(built.problem);
    missing.push(label);
  } else {
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`${built.file.slice(root.length + 1)}, ${built.megabytes.toFixed(1)} MB, ${seconds} s`);
    files.push(built.file);
  }
}
if (wanted.length > 1) await writeChecksums(files);
if (missing.length > 0) console.error(`Not built: ${missing.join(", ")}.`);
process.exit(missing.length > 0 ? 1 : 0);
