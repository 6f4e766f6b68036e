import { readErrorCode } from "../../error-code.ts";
import { formatCombinedLine, formatSquidLine } from "./access-formats.ts";
import { formatJsonLine, formatTextLine } from "./access-line.ts";
import type { AccessRecord } from "./access-record.ts";

export type AccessFormat = keyof typeof writers | "off";

const writers = {
  json: formatJsonLine,
  text: formatTextLine,
  squid: formatSquidLine,
  combined: formatCombinedLine,
} satisfies Record<string, (record: AccessRecord) => string>;

/** Which lines are written, and how. */
export interface AccessLogPlan {
  readonly format: AccessFormat;
  /** The part of lines about requests without a failure that is written, from 0 to 1. */
  readonly sampleOk: number;
}

/**
 * Takes whole lines, each with its line end. A sink that cannot keep up returns a
 * promise, and is not called again before the promise is fulfilled.
 */
export type LogSink = (text: string) => void | Promise<void>;

export interface AccessLogOptions {
  readonly format: AccessFormat;
  readonly sampleOk?: number;
  readonly sink: LogSink;
  /** Called with the reason when the first line is lost. */
  readonly whenLost?: (why: string) => void;
  /** From 0 to 1, for samples. */
  readonly random?: () => number;
  /** Milliseconds for which lines are gathered into one write. */
  readonly gatherMs?: number;
  /** UTF-16 code units that may wait for a slow sink; lines beyond are dropped and counted. */
  readonly pendingLimit?: number;
}

/** Lets thousands of lines a second share a write; people do not notice the delay. */
const GATHER_MS = 5;

/** About 10,000 lines. */
const PENDING_LIMIT = 4 * 1024 * 1024;

/** Gathered text that is written without waiting for the timer. */
const WRITE_AT = 64 * 1024;

/** Writes one line per request, many lines per write. It never waits for a slow reader, and its buffer is bounded. */
export class AccessLog {
  /** Lines that were lost: the sink was too slow, or it failed. */
  dropped = 0;

  #format: AccessFormat;
  #sampleOk: number;
  readonly #sink: LogSink;
  readonly #random: () => number;
  readonly #whenLost: (why: string) => void;
  readonly #gatherMs: number;
  readonly #pendingLimit: number;
  #pending: string[] = [];
  #pendingLength = 0;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;

  constructor(options: AccessLogOptions) {
    this.#format = options.format;
    this.#sampleOk = options.sampleOk ?? 1;
    this.#sink = options.sink;
    this.#random = options.random ?? Math.random;
    this.#whenLost = options.whenLost ?? (() => {});
    this.#gatherMs = options.gatherMs ?? GATHER_MS;
    this.#pendingLimit = options.pendingLimit ?? PENDING_LIMIT;
  }

  get format(): AccessFormat {
    return this.#format;
  }

  /** Whether lines are written. */
  get enabled(): boolean {
    return this.#format !== "off";
  }

  /** Sets which lines to come are written, and how. */
  use({ format, sampleOk }: AccessLogPlan): void {
    this.#format = format;
    this.#sampleOk = sampleOk;
  }

  /** Whether the line of a request is to be written: always that of one that `failed`. */
  wants(failed: boolean): boolean {
    return this.#format !== "off" && (failed || this.#sampleOk === 1 || this.#random() < this.#sampleOk);
  }

  /** Queues the line of a request; `json` is its form in JSON, where that is known. */
  write(record: AccessRecord, json?: string): void {
    if (this.#format === "off") return;
    const line = this.#format === "json" && json !== undefined ? json : writers[this.#format](record);
    if (this.#pendingLength + line.length + 1 > this.#pendingLimit) {
      this.#lose(1, "their reader is too slow");
      return;
    }
    this.#pending.push(line);
    this.#pendingLength += line.length + 1;
    if (this.#writing !== undefined) return;
    if (this.#pendingLength >= WRITE_AT) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), this.#gatherMs);
  }

  /** Writes what is queued and resolves when the sink has taken it, which may be never. Later lines are still written. */
  async stop(): Promise<void> {
    while (this.#writing !== undefined || this.#pending.length > 0) {
      if (this.#writing === undefined) this.#flush();
      await this.#writing;
    }
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const lines = this.#pending;
    if (lines.length === 0) return;
    this.#pending = [];
    this.#pendingLength = 0;
    try {
      const taken = this.#sink(`${lines.join("\n")}\n`);
      if (taken !== undefined) this.#writing = this.#awaitSink(taken, lines.length);
    } catch (error) {
      this.#lose(lines.length, describeError(error));
    }
  }

  async #awaitSink(taken: Promise<void>, lines: number): Promise<void> {
    try {
      await taken;
    } catch (error) {
      this.#lose(lines, describeError(error));
    }
    this.#writing = undefined;
    this.#flush();
  }

  /** A full disk or a closed pipe ends no connection. The count shows it. */
  #lose(lines: number, why: string): void {
    const isFirst = this.dropped === 0;
    this.dropped += lines;
    if (isFirst) this.#whenLost(why);
  }
}

/** Names the system's error: `ENOSPC`, `EPIPE`. */
function describeError(error: unknown): string {
  const code = readErrorCode(error);
  return code !== undefined ? `the system says ${code}` : "they cannot be written";
}
