import { randomBytes } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { access, copyFile, link, lstat, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { readErrorCode } from "../error-code.ts";
import { describeReadError } from "../config/read-file.ts";
import { syncFolder } from "../state/durable-file.ts";
import { type Carried, carryCapabilities } from "./carry-capabilities.ts";
import { type Outcome, done, refuse } from "./refusal.ts";

/** Where the file before the last upgrade is kept. */
export function previousOf(target: string): string {
  return `${target}.previous`;
}

/** A file that was written beside the executable. It is removed when it has not taken its place. */
export interface Candidate extends AsyncDisposable {
  readonly path: string;
  /** Of the executable; undefined where it has none. */
  readonly carried: Carried | undefined;
  /**
   * Takes the place of the executable at once, or not at all; the one before is
   * kept as `.previous`. A process that runs keeps its file.
   */
  install(): Promise<Outcome<Installed>>;
}

/** Files to remove at the end of the command, whatever it came to. */
export class Leftovers implements AsyncDisposable {
  readonly #candidates: Candidate[] = [];
  #isOver = false;

  /** What comes after the end, of work that nobody waits for any more, is removed at once. */
  add(candidate: Candidate): void {
    if (this.#isOver) void candidate[Symbol.asyncDispose]();
    else this.#candidates.push(candidate);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#candidates.map((candidate) => candidate[Symbol.asyncDispose]()));
  }
}

/** An executable that has taken the place of another one. */
export interface Installed {
  /** Takes it back: all is as it was before. */
  undo(): Promise<Outcome<undefined>>;
  /** Nobody will take it back. */
  keep(): Promise<void>;
}

/** Writes the new executable into the folder of the old one, on disk and with its mode, owner and capabilities. */
export async function writeCandidate(target: string, content: Uint8Array): Promise<Outcome<Candidate>> {
  const path = nameBeside(target, "new");
  let carried: Carried | undefined;
  try {
    const { mode, uid, gid } = await stat(target);
    await using file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o700);
    try {
      await file.writeFile(content);
      // The owner first: a change of it takes bits of the mode away.
      if (process.platform !== "win32") await file.chown(uid, gid);
      await file.chmod(mode & 0o7777);
      // Last: a write and a change of the owner take them away.
      carried = carryCapabilities(target, path);
      await file.sync();
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  } catch (error) {
    return refuse("replace", `Cannot write ${path}: ${describeFault(error)}.`);
  }
  return done(makeCandidate(target, path, carried));
}

/** The executable before the last upgrade, to come back. */
export async function takePrevious(target: string): Promise<Outcome<Candidate>> {
  const path = nameBeside(target, "new");
  let carried: Carried | undefined;
  try {
    await copyLinked(previousOf(target), path);
    carried = carryCapabilities(target, path);
  } catch (error) {
    return refuse("replace", `Cannot take back ${previousOf(target)}: ${describeFault(error)}.`);
  }
  return done(makeCandidate(target, path, carried));
}

/** An upgrade takes minutes: a file that has been there for longer belongs to none that is under way. */
const STALE_MS = 60 * 60 * 1000;

/** Removes what upgrades left beside the executable that were killed: each file is as large as the executable. */
export async function removeStale(target: string, now = Date.now()): Promise<void> {
  const folder = dirname(target);
  const prefix = `.${basename(target)}.`;
  try {
    for (const name of await readdir(folder)) {
      if (!name.startsWith(prefix)) continue;
      if (!/^[0-9a-f]{12}\.(?:new|old|older|failed)(?:\.exe)?$/.test(name.slice(prefix.length))) continue;
      const path = join(folder, name);
      // A second name of a file has the time of its content; the change is when it was made.
      if (now - (await lstat(path)).ctimeMs > STALE_MS) await rm(path, { force: true });
    }
  } catch {
    // Whatever is wrong with the folder is told when the new file is written.
  }
}

function makeCandidate(target: string, path: string, carried: Carried | undefined): Candidate {
  return {
    path,
    carried,
    install: () => install(target, path),
    [Symbol.asyncDispose]: () => rm(path, { force: true }),
  };
}

async function install(target: string, path: string): Promise<Outcome<Installed>> {
  const previous = previousOf(target);
  const older = nameBeside(target, "older");
  const hadPrevious = await isThere(previous);
  const takeBack = () => undo(target, hadPrevious ? older : undefined);
  let isKept = false;
  try {
    if (hadPrevious) await copyLinked(previous, older);
    const kept = nameBeside(target, "old");
    // On Windows a running program cannot be replaced, but renamed.
    if (process.platform === "win32") await rename(target, previous);
    else {
      await copyLinked(target, kept);
      await rename(kept, previous);
    }
    isKept = true;
    await rename(path, target);
    await syncFolder(dirname(target));
    return done({
      undo: takeBack,
      keep: () => rm(older, { force: true }),
    });
  } catch (error) {
    const undone = isKept ? await takeBack() : done(undefined);
    if (undone.ok) await rm(older, { force: true });
    const message = `Cannot replace ${target}: ${describeFault(error)}.`;
    return refuse("replace", undone.ok ? message : `${message} ${undone.message}`);
  }
}

async function undo(target: string, older: string | undefined): Promise<Outcome<undefined>> {
  const previous = previousOf(target);
  try {
    if (process.platform === "win32" && (await isThere(target))) await rename(target, nameBeside(target, "failed"));
    await rename(previous, target);
    // A rename of a second name of the same file does nothing.
    await rm(previous, { force: true });
    if (older !== undefined) await rename(older, previous);
    await syncFolder(dirname(target));
    return done(undefined);
  } catch (error) {
    return refuse("replace", `Cannot take ${previous} back to ${target}: ${describeFault(error)}.`);
  }
}

/** A second name for a file, or a copy where a file system has no second names. */
async function copyLinked(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (readErrorCode(error) === "ENOENT") throw error;
    const found: Stats = await stat(from);
    await copyFile(from, to, constants.COPYFILE_EXCL);
    await using file = await open(to, "r+");
    if (process.platform !== "win32") await file.chown(found.uid, found.gid);
    await file.chmod(found.mode & 0o7777);
    carryCapabilities(from, to);
    await file.sync();
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/** A hidden name beside the executable that nothing has. It keeps the ending: Windows goes by it. */
function nameBeside(target: string, what: string): string {
  const ending = extname(target) === ".exe" ? ".exe" : "";
  return join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}.${what}${ending}`);
}

/** What went wrong with a file; continues a sentence. */
function describeFault(error: unknown): string {
  const code = readErrorCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") return "there is no space left";
  return code === "EROFS" ? "the file system is mounted read-only" : describeReadError(error);
}
