import { readFile, realpath } from "node:fs/promises";
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { nameError } from "../error-code.ts";
import type { Endpoint } from "../address/endpoint.ts";
import { parseIp } from "../address/ip.ts";
import { readListLine, splitLines } from "../lists/list-lines.ts";
import type { Tell } from "../operator-message.ts";
import { compileRules } from "../proxy/policy/compile-rules.ts";
import { evaluate } from "../proxy/policy/evaluate.ts";
import type { Policy, Query } from "../proxy/policy/policy.ts";
import type { TargetPattern } from "../proxy/policy/target-index.ts";
import { makePrivateFolder, writeDurably } from "../state/durable-file.ts";
import { formatListEntry } from "./approval-table.ts";

export interface ApprovalsFileOptions {
  /** Absolute path of the list; undefined where there is none. */
  readonly path: () => string | undefined;
  /** Reads an entry, or says what is wrong with it as the rest of a sentence. */
  readonly readEntry: (entry: string) => TargetPattern | string;
  readonly tell: Tell;
}

/** Bytes of the list: it is read in one go, while clients wait. */
const MAX_BYTES = 4 * 1024 * 1024;

/** What is known of the file. */
interface Known {
  readonly path: string;
  /** Differs when the file has changed. */
  readonly stamp: string;
  /** The targets in it, as a policy that allows them and denies the rest. */
  readonly targets: Policy;
  /** Why the file cannot be used: then the targets are those from before. */
  readonly fault?: string;
}

/** Lines that are written together. */
interface Batch {
  readonly path: string;
  readonly lines: string[];
  readonly written: Promise<string | undefined>;
}

/**
 * The targets that operators have allowed for always: a list with one entry a line,
 * which people can change as well. One that cannot be used leaves the one before in use.
 */
export class ApprovalsFile {
  readonly #options: ApprovalsFileOptions;
  #known: Known | undefined;
  #writing: Promise<unknown> = Promise.resolve();
  /** What waits for the write under way. */
  #next: Batch | undefined;

  constructor(options: ApprovalsFileOptions) {
    this.#options = options;
  }

  /** Whether the list has a target. Reads it again when it has changed. */
  has(target: Endpoint): boolean {
    const targets = this.#read();
    if (targets === undefined) return false;
    const query: Query = { client: ANYBODY, user: undefined, target, now: 0 };
    const found = evaluate(targets, query);
    return found.kind === "decided" && found.decision.verdict === "allow";
  }

  /** Adds a target with a comment. Those that wait for a write are written together. Gives the reason when that cannot be, as the rest of a sentence. */
  add(target: Endpoint, comment: string): Promise<string | undefined> {
    const path = this.#options.path();
    if (path === undefined) return Promise.resolve(NO_FILE);
    const line = `${formatListEntry(target)}  # ${comment.replaceAll(/[^\x20-\x7e]/g, "?")}\n`;
    if (this.#next?.path === path) {
      this.#next.lines.push(line);
      return this.#next.written;
    }
    const lines = [line];
    const written = this.#writing.then(() => {
      if (this.#next === batch) this.#next = undefined;
      return this.#write(path, lines.join(""));
    });
    const batch: Batch = { path, lines, written };
    this.#next = batch;
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** What is added to a file with a fault would not be in effect. */
  #write(path: string, lines: string): Promise<string | undefined> {
    if (this.#options.path() === path) this.#read();
    const { fault } = this.#known?.path === path ? this.#known : {};
    return fault === undefined ? append(path, lines) : Promise.resolve(`${path} cannot be used: ${fault}`);
  }

  #read(): Policy | undefined {
    const path = this.#options.path();
    if (path === undefined) return undefined;
    const stamp = takeStamp(path);
    const known = this.#known?.path === path ? this.#known : undefined;
    if (known?.stamp === stamp) return known.targets;
    const read = stamp === MISSING ? [] : this.#parse(path);
    if (typeof read === "string") {
      this.#options.tell(
        `Cannot use the approvals in ${path}: ${read}. ${known ? "Those before stay." : ""}`.trim(),
        "error",
      );
      // Not read again before it changes.
      this.#known = { path, stamp, targets: known?.targets ?? compile([]), fault: read };
      return this.#known.targets;
    }
    this.#known = { path, stamp, targets: compile(read) };
    return this.#known.targets;
  }

  /** The entries, or what is wrong with the file. */
  #parse(path: string): TargetPattern[] | string {
    let text: string;
    try {
      if (statSync(path).size > MAX_BYTES) return `it has more than ${MAX_BYTES} bytes`;
      text = readFileSync(path, "utf8");
    } catch (error) {
      return nameError(error);
    }
    const entries: TargetPattern[] = [];
    for (const [number, line] of splitLines(text)) {
      const read = readListLine(line, "targets");
      if ("reason" in read) return `line ${number} ${read.reason}`;
      for (const entry of read) {
        const pattern = this.#options.readEntry(entry);
        if (typeof pattern === "string") return `${JSON.stringify(entry)} in line ${number} ${pattern}`;
        entries.push(pattern);
      }
    }
    return entries;
  }
}

const NO_FILE = 'there is no file for it. Set "approvals.list" or "state.folder"';
const MISSING = "missing";
const ANYBODY = parseIp("127.0.0.1") as NonNullable<ReturnType<typeof parseIp>>;

function compile(to: readonly TargetPattern[]): Policy {
  // Without an entry nothing is in it: an absent list would match everything.
  const verdict = { kind: "allow", allowPrivate: false, via: [] } as const;
  return compileRules(to.length === 0 ? [] : [{ name: "approvals", to, verdict }], { kind: "deny" });
}

function takeStamp(path: string): string {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(path);
    return `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
  } catch (error) {
    return nameError(error) === "ENOENT" ? MISSING : `error ${nameError(error)}`;
  }
}

/** Writes the whole file beside the old one: a reader, and a crash, finds one of them. */
async function append(path: string, lines: string): Promise<string | undefined> {
  try {
    const file = await realpath(path).catch(() => path);
    await makePrivateFolder(dirname(file));
    const text = await readFile(file, "utf8").catch((error: unknown) => {
      if (nameError(error) === "ENOENT") return HEADER;
      throw error;
    });
    const whole = `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${lines}`;
    if (Buffer.byteLength(whole) > MAX_BYTES) return `${path} would have more than ${MAX_BYTES} bytes`;
    await writeDurably(file, whole);
    return undefined;
  } catch (error) {
    return `${path} cannot be written: ${nameError(error)}`;
  }
}

const HEADER = "# Targets that operators have allowed for always, for everybody that a rule asks about.\n";
