import { nameError } from "./error-code.ts";
import type { Tell } from "./operator-message.ts";
import { close, openSync, write } from "node:fs";
import { quoteValue } from "./config/problem.ts";
import type { CompiledConfig } from "./config/compile.ts";
import { AccessLog, type LogSink } from "./proxy/record/access-log.ts";

/** Access lines may hold names of users and targets: others on the machine do not read them. */
const MODE = 0o640;

/** A file that is open, or why it is not. */
type Opened = { readonly ok: true; commit(): void; abandon(): void } | { readonly ok: false; readonly message: string };

/**
 * Where access lines go: to standard output, or to a file, to whose end they are
 * added. Another program may move the file away and have it opened again.
 */
export class AccessOutput {
  readonly #standard: LogSink;
  readonly #tell: Tell;
  #path: string | undefined;
  #fd: number | undefined;
  /** The write that is under way. */
  #writing: Promise<void> = Promise.resolve();

  constructor(standard: LogSink, tell: Tell) {
    this.#standard = standard;
    this.#tell = tell;
  }

  /** Opens another file, or goes to standard output without one; `commit` or `abandon` must follow. */
  prepare(path: string | undefined): Opened {
    if (path === this.#path) return { ok: true, commit: () => undefined, abandon: () => undefined };
    const opened = path === undefined ? undefined : open(path);
    if (typeof opened === "string") return { ok: false, message: opened };
    return {
      ok: true,
      commit: () => {
        this.#path = path;
        this.#use(opened?.fd);
      },
      abandon: () => closeLater(opened?.fd),
    };
  }

  /** Opens the file at its path again, where there may be a new one. When it cannot, the old one stays in use. Tells the outcome. */
  reopen(): void {
    if (this.#path === undefined)
      return this.#tell("SIGUSR1: there is no log file to open again, access lines go to standard output.", "info");
    const opened = open(this.#path);
    if (typeof opened === "string")
      return this.#tell(`SIGUSR1: ${opened} Access lines still go to the file that was open before.`, "error");
    this.#use(opened.fd);
    this.#tell(`SIGUSR1: access lines go to ${this.#path}, opened again.`, "info");
  }

  /** Takes whole lines. The promise resolves once the system has them, and rejects when it refuses them. */
  write(text: string): void | Promise<void> {
    const fd = this.#fd;
    if (fd === undefined) return this.#standard(text);
    const written = writeAll(fd, Buffer.from(text));
    this.#writing = written.catch(() => undefined);
    return written;
  }

  close(): void {
    this.#use(undefined);
  }

  #use(fd: number | undefined): void {
    const before = this.#fd;
    this.#fd = fd;
    // Lines that are being written still go to the old file.
    void this.#writing.then(() => closeLater(before, this.#tell));
  }
}

/** The access log of a configuration, and where its lines go; or why the file cannot be opened. */
export function openAccessLog({ access, sampleOk, file }: CompiledConfig["log"], standard: LogSink, tell: Tell) {
  const accessOutput = new AccessOutput(standard, tell);
  const output = accessOutput.prepare(file);
  if (!output.ok) return output;
  output.commit();
  const accessLog = new AccessLog({
    format: access,
    sampleOk,
    sink: (text) => accessOutput.write(text),
    whenLost: (why) =>
      tell(`Access lines are being lost: ${why}. "penstock_access_log_dropped_total" counts them.`, "error"),
  });
  return { ok: true, accessLog, accessOutput } as const;
}

function open(path: string): { readonly fd: number } | string {
  try {
    return { fd: openSync(path, "a", MODE) };
  } catch (error) {
    const code = nameError(error);
    return `Cannot open the file ${quoteValue(path)} of "log.file": ${reasons[code] ?? `the system says ${code}`}.`;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "its folder does not exist",
  EACCES: "the system does not allow it",
  EISDIR: "it is a folder",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
};

function closeLater(fd: number | undefined, tell?: Tell): void {
  if (fd === undefined) return;
  close(fd, (error) => {
    // Some file systems say only now that lines were not written.
    if (error !== null)
      tell?.(`The log file that was open before is not whole: the system says ${error.code}.`, "error");
  });
}

/** Writes all bytes: a system call may take only some of them. */
function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const go = (from: number): void => {
      write(fd, bytes, from, bytes.length - from, null, (error, taken) => {
        if (error !== null) reject(error);
        else if (from + taken < bytes.length) go(from + taken);
        else resolve();
      });
    };
    go(0);
  });
}
