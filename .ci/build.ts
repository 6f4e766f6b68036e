/**
 * Makes the executables: `bun run build` for this platform, into dist/penstock;
 * `bun run build --all` for all of them; `--target linux-arm64` (repeated) for
 * some. Bun fetches the runtime of another platform from the npm registry.
 * `--without-bytecode` makes dist/penstock-without-bytecode, to compare how they start.
 */
import { dirname } from "node:path";
import { writeChecksums } from "./checksums.ts";
import { compile, dist, type Target, targets } from "./compile.ts";

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
      return `Unknown argument "${arg ?? ""}". Wanted is nothing, --all, --target NAME, or --without-bytecode.`;
    }
  }
  return wanted.length === 0 ? [undefined] : wanted;
}

const args = process.argv.slice(2);
const bytecode = !args.includes("--without-bytecode");
const wanted = readTargets(args.filter((arg) => arg !== "--without-bytecode"));
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
  const built = await compile(target, { bytecode });
  if ("problem" in built) {
    console.log("failed");
    console.error(built.problem);
    missing.push(label);
  } else {
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`${built.file.slice(dirname(dist).length + 1)}, ${built.megabytes.toFixed(1)} MB, ${seconds} s`);
    files.push(built.file);
  }
}
if (wanted.length > 1) await writeChecksums(dist, files);
if (missing.length > 0) console.error(`Not built: ${missing.join(", ")}.`);
process.exit(missing.length > 0 ? 1 : 0);
