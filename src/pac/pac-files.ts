import { isDeepStrictEqual } from "node:util";
import { withinMs } from "../net/conn/time-limit.ts";
import type { PacFile } from "../proxy/pac/pac-file.ts";
import { FollowedPac, type FollowOptions, type PacSource, type PacStatus } from "./followed-pac.ts";
import { PacThread } from "./pac-thread.ts";

/** Milliseconds that a start or a reload waits for files that have to be fetched. */
const FIRST_FETCH_MS = 5000;

/** New files that are loaded, to be put into use or thrown away. */
export interface PreparedPacs {
  /** Puts them into use, and ends those that the configuration does not name any more. */
  commit(): void;
  abandon(): void;
}

/** The PAC files in use, by the name of their upstream. An unchanged one outlives a reload. */
export class PacFiles {
  readonly #options: Omit<FollowOptions, "thread">;
  #inUse: ReadonlyMap<string, FollowedPac> = new Map();

  constructor(options: Omit<FollowOptions, "thread">) {
    this.#options = options;
  }

  get statuses(): PacStatus[] {
    return [...this.#inUse.values()].map(({ status }) => status);
  }

  find(name: string): PacFile | undefined {
    return this.#inUse.get(name);
  }

  /**
   * Loads the files of a configuration. Those to be fetched have five seconds;
   * one that takes longer, or cannot be fetched, is tried again later: a server
   * that is down must not keep this proxy from starting.
   */
  async prepare(sources: readonly PacSource[]): Promise<PreparedPacs> {
    const added: FollowedPac[] = [];
    const next = new Map(
      sources.map((source) => {
        const kept = this.#inUse.get(source.name);
        if (kept !== undefined && isDeepStrictEqual(kept.source, source)) return [source.name, kept];
        const file = new FollowedPac(source, { ...this.#options, thread: new PacThread() });
        added.push(file);
        return [source.name, file];
      }),
    );
    await withinMs(Promise.all(added.map((file) => file.start())), FIRST_FETCH_MS);
    return {
      commit: () => {
        const before = this.#inUse;
        this.#inUse = next;
        for (const [name, file] of before) if (next.get(name) !== file) file.close();
      },
      abandon() {
        for (const file of added) file.close();
      },
    };
  }

  /** Uses another text of a file, or notes why there is none. */
  async replace(name: string, read: { ok: true; text: string } | { ok: false; reason: string }): Promise<void> {
    const file = this.#inUse.get(name);
    if (!read.ok) file?.blame(`cannot be read: ${read.reason}`);
    else await file?.replace(read.text);
  }

  /** Uses other authorities for URLs; what else the sources say is left alone. */
  renewAuthorities(sources: readonly PacSource[]): void {
    for (const { name, at } of sources) if (at.kind === "url") this.#inUse.get(name)?.renewAuthorities(at.ca);
  }

  close(): void {
    for (const file of this.#inUse.values()) file.close();
  }
}

/** Tells of an answer that cannot be used. `silenced` counts those before it that were not told. */
export function describePacFault(name: string, why: string, silenced: number): string {
  const before = silenced === 0 ? "" : ` ${silenced} requests before it had the same fate.`;
  return `The PAC file of upstream ${name} ${why}, so the request is refused.${before}`;
}

/** Says what is wrong with the text of a PAC file, as the rest of a sentence that begins with the file. */
export async function findPacFault(text: string): Promise<string | undefined> {
  const thread = new PacThread();
  const loaded = await thread.load(text);
  thread.close();
  return loaded.ok ? undefined : loaded.why;
}
