import type { MessageLevel, Tell } from "./operator-message.ts";
import type { CompiledConfig } from "./config/compile.ts";
import type { LoadResult } from "./config/load.ts";
import { formatProblem } from "./config/problem.ts";

/** What came of a reload. */
export type ReloadOutcome =
  /** It is in effect. `changes` is the redacted difference; `warnings` name what needs a restart. */
  | { readonly kind: "done"; readonly changes: readonly string[]; readonly warnings: readonly string[] }
  /** Nothing changed. Each problem is a sentence that names the setting. */
  | { readonly kind: "invalid"; readonly problems: readonly string[] }
  /** Nothing was read. */
  | { readonly kind: "refused"; readonly reason: string };

/** The result of putting a configuration into effect. */
export type Applied =
  | { readonly ok: true; readonly changes: readonly string[]; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly message: string };

export interface ReloaderOptions {
  /** Reads, validates and compiles. */
  readonly load: () => Promise<LoadResult>;
  /** Puts the result into effect, or changes nothing. */
  readonly apply: (compiled: CompiledConfig) => Promise<Applied>;
  readonly isDraining: () => boolean;
  readonly tell: Tell;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Called after each reload with the files that the configuration depends on. */
  readonly loaded?: (files: readonly string[], outcome: ReloadOutcome) => void;
}

/** Lines of a difference or of a list of problems that are told. */
const MAX_LINES = 200;

const DRAINING: ReloadOutcome = {
  kind: "refused",
  reason: "The proxy is shutting down, so it does not reload.",
};

/** Reloads the configuration, one reload at a time. */
export class Reloader {
  /** Whether the last reload, or the start, was successful. */
  successful = true;
  /** When the configuration in effect was put into effect, in milliseconds since the epoch. */
  succeededAt: number;
  readonly #options: ReloaderOptions;
  readonly #now: () => number;
  #running: Promise<ReloadOutcome> | undefined;
  #waiting: Promise<ReloadOutcome> | undefined;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.succeededAt = this.#now();
  }

  /** Reloads. While one reload is under way, all further calls share the next one: it reads what is there after each of them. */
  reload(): Promise<ReloadOutcome> {
    if (this.#running === undefined) return this.#start();
    const startAgain = () => {
      this.#waiting = undefined;
      return this.#start();
    };
    this.#waiting ??= this.#running.catch(() => {}).then(startAgain);
    return this.#waiting;
  }

  #start(): Promise<ReloadOutcome> {
    const running = this.#run().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #run(): Promise<ReloadOutcome> {
    const { load, apply, isDraining, loaded } = this.#options;
    if (isDraining()) return this.#tell(DRAINING);
    const result = await load();
    if (isDraining()) {
      loaded?.(result.files, DRAINING);
      return this.#tell(DRAINING);
    }
    const outcome = result.ok
      ? conclude(await apply(result.value.compiled), result.warnings.map(formatProblem))
      : ({ kind: "invalid", problems: cut(result.problems.map(formatProblem)) } as const);
    this.successful = outcome.kind === "done";
    if (this.successful) this.succeededAt = this.#now();
    this.#tell(outcome);
    loaded?.(result.files, outcome);
    return outcome;
  }

  #tell(outcome: ReloadOutcome): ReloadOutcome {
    for (const [line, level] of describeOutcome(outcome)) this.#options.tell(line, level);
    return outcome;
  }
}

function conclude(applied: Applied, warnings: readonly string[]): ReloadOutcome {
  if (!applied.ok) return { kind: "invalid", problems: [applied.message] };
  return { kind: "done", changes: cut(applied.changes), warnings: cut([...warnings, ...applied.warnings]) };
}

function cut(lines: readonly string[]): readonly string[] {
  if (lines.length <= MAX_LINES) return lines;
  return [...lines.slice(0, MAX_LINES), `… and ${lines.length - MAX_LINES} more.`];
}

/** The lines for the operator, each with its level. */
function describeOutcome(outcome: ReloadOutcome): (readonly [string, MessageLevel])[] {
  const level = (lines: readonly string[], each: MessageLevel) => lines.map((line) => [line, each] as const);
  switch (outcome.kind) {
    case "done":
      return [
        [
          outcome.changes.length === 0
            ? "Reloaded: the configuration has not changed."
            : "Reloaded. These settings changed:",
          "info",
        ],
        ...level(
          outcome.changes.map((change) => `  ${change}`),
          "info",
        ),
        ...level(outcome.warnings, "warn"),
      ];
    case "invalid":
      return level(
        [
          "Cannot use the new configuration. The one before stays in effect:",
          ...outcome.problems.map((problem) => `  ${problem}`),
        ],
        "error",
      );
    case "refused":
      return [[outcome.reason, "warn"]];
  }
}
