import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const executable = join(root, "dist/penstock");
const lock = join(root, "dist/.building");

/** What the executable is made of. */
const ingredients = ["src", ".ci/build.ts", ".ci/compile.ts", "package.json", "bun.lock", "proxy.config.ts"];

/**
 * The path of the executable: the one that `TEST_EXECUTABLE` names, or
 * `dist/penstock`, built first when it is missing or older than its source.
 */
export function findExecutable(): Promise<string> {
  found ??= provideExecutable();
  return found;
}

let found: Promise<string> | undefined;

async function provideExecutable(): Promise<string> {
  const named = process.env["TEST_EXECUTABLE"];
  if (named !== undefined && named !== "") return named;
  if (await isCurrent()) return executable;
  await mkdir(join(root, "dist"), { recursive: true });
  await using _ = await takeLock();
  // Another process may have built it while this one waited.
  if (await isCurrent()) return executable;
  const built = Bun.spawnSync([process.execPath, "run", "build"], { cwd: root, stdout: "pipe", stderr: "pipe" });
  if (built.exitCode !== 0) throw new Error(`"bun run build" failed:\n${built.stderr.toString()}`);
  return executable;
}

async function isCurrent(): Promise<boolean> {
  if (!existsSync(executable)) return false;
  const { mtimeMs } = await stat(executable);
  const newest = await Promise.all(ingredients.map((name) => findNewest(join(root, name))));
  return newest.every((ms) => ms <= mtimeMs);
}

/** When the youngest file at or below `path` was changed, in milliseconds since 1970. */
async function findNewest(path: string): Promise<number> {
  const entry = await stat(path);
  if (!entry.isDirectory()) return entry.mtimeMs;
  const names = await readdir(path);
  return Math.max(...(await Promise.all(names.map((name) => findNewest(join(path, name))))));
}

/** Lets one process build at a time: a file with the id of the one that does. */
async function takeLock(): Promise<AsyncDisposable> {
  for (;;) {
    try {
      const file = await open(lock, "wx");
      await file.writeFile(String(process.pid));
      await file.close();
      return { [Symbol.asyncDispose]: () => rm(lock, { force: true }) };
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
    if (await isAbandoned()) await rm(lock, { force: true });
    else await Bun.sleep(50);
  }
}

/** Whether the process that took the lock is gone. A lock without an id yet is being taken right now. */
async function isAbandoned(): Promise<boolean> {
  const pid = Number(await readFile(lock, "utf8").catch(() => ""));
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
