/**
 * Writes the packages for npm into dist/npm: `penstock` with types, a module and a launcher, and one package
 * with the executable of each platform: `bun .ci/package-npm.ts [--out DIR] [TARGET=FILE]...`. Without files it
 * takes those in dist that `bun run build` makes.
 */
import { chmod, copyFile, mkdir, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { dist, type Target, targets } from "./compile.ts";
import { run } from "./package-deb.ts";
import { root } from "./package-files.ts";
import { writeThirdParty } from "./third-party.ts";

const { version, description, license } = manifest;
const shared = { version, license };

/** `defineConfig` and `env` as in the executable, for programs of one's own that load a configuration. */
const MODULE = `export function defineConfig(config) {
  return config;
}

export function env(name) {
  return { env: name };
}
`;

const README = `# Penstock

${description}. \`npx penstock --help\` says what it can do; \`import { defineConfig } from "penstock"\` gives an editor the types of proxy.config.ts.
`;

function isWindows(target: Target): boolean {
  return target.startsWith("windows");
}

async function writeMain(folder: string): Promise<void> {
  await mkdir(join(folder, "bin"), { recursive: true });
  await writeJson(join(folder, "package.json"), {
    name: "penstock",
    description,
    ...shared,
    type: "module",
    bin: { penstock: "bin/penstock.mjs" },
    exports: { ".": { types: "./index.d.ts", default: "./index.js" }, "./package.json": "./package.json" },
    types: "./index.d.ts",
    files: ["bin", "index.js", "index.d.ts"],
    engines: { node: ">=18" },
    optionalDependencies: Object.fromEntries(targets.map((target) => [`penstock-${target}`, version])),
  });
  await Bun.write(join(folder, "index.d.ts"), await run([process.execPath, "src/main.ts", "types", "--package"]));
  await Bun.write(join(folder, "index.js"), MODULE);
  await Bun.write(join(folder, "README.md"), README);
  await copyFile(join(root, "LICENSE"), join(folder, "LICENSE"));
  const launcher = join(folder, "bin/penstock.mjs");
  await copyFile(join(root, ".ci/npm/penstock.mjs"), launcher);
  await chmod(launcher, 0o755);
}

async function writePlatform(folder: string, target: Target, file: string, thirdParty: string): Promise<void> {
  const [system = "", cpu = "", libc = "glibc"] = target.split("-");
  const executable = join(folder, "bin", `penstock${isWindows(target) ? ".exe" : ""}`);
  await mkdir(join(folder, "bin"), { recursive: true });
  await writeJson(join(folder, "package.json"), {
    name: `penstock-${target}`,
    description: `The executable of Penstock for ${target}`,
    ...shared,
    os: [isWindows(target) ? "win32" : system],
    cpu: [cpu],
    ...(system === "linux" && { libc: [libc] }),
    files: ["bin", "THIRD-PARTY.txt"],
    // The executable is found by its path: package managers that zip packages must unpack this one.
    preferUnplugged: true,
  });
  await Bun.write(
    join(folder, "README.md"),
    `# penstock-${target}\n\nThe executable of Penstock. Install \`penstock\`.\n`,
  );
  await copyFile(join(root, "LICENSE"), join(folder, "LICENSE"));
  await Bun.write(join(folder, "THIRD-PARTY.txt"), thirdParty);
  await copyFile(file, executable);
  await chmod(executable, 0o755);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await Bun.write(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** The executables to be packed, by their platforms. */
function readFiles(args: readonly string[]): ReadonlyMap<Target, string> {
  const given = args.map((arg) => {
    const [name, file] = [arg.slice(0, arg.indexOf("=")), arg.slice(arg.indexOf("=") + 1)];
    const target = targets.find((known) => known === name);
    if (target === undefined || !existsSync(file))
      throw new Error(
        `Cannot use "${arg}". Write TARGET=FILE with one of ${targets.join(", ")} and a file that exists.`,
      );
    return [target, file] as const;
  });
  if (given.length > 0) return new Map(given);
  const built = targets.map(
    (target) => [target, join(dist, `penstock-${target}${isWindows(target) ? ".exe" : ""}`)] as const,
  );
  return new Map(built.filter(([, file]) => existsSync(file)));
}

const args = process.argv.slice(2);
const out = args[0] === "--out" ? args.splice(0, 2)[1] : join(dist, "npm");
if (out === undefined) throw new Error("Missing the folder after --out");
const files = readFiles(args);
if (files.size === 0)
  throw new Error('There are no executables in dist: run "bun run build --target linux-x64", or --all');
for (const name of ["penstock", ...targets.map((target) => `penstock-${target}`)])
  await rm(join(out, name), { recursive: true, force: true });
await writeMain(join(out, "penstock"));
const thirdParty = await writeThirdParty();
for (const [target, file] of files) await writePlatform(join(out, `penstock-${target}`), target, file, thirdParty);
console.log(
  ["penstock", ...Array.from(files.keys(), (target) => `penstock-${target}`)].map((name) => join(out, name)).join("\n"),
);
