import { nameError } from "./error-code.ts";
import type { CompiledConfig } from "./config/compile.ts";
import { tidyListCopies, writeListCopy } from "./lists/list-copies.ts";
import { ListsInUse, type ListsInUseOptions } from "./lists/lists-in-use.ts";
import { fetchText } from "./net/http/fetch-text.ts";

interface ListParts extends Pick<ListsInUseOptions, "tell" | "turn" | "use" | "publish"> {
  readonly inUse: { readonly compiled: Pick<CompiledConfig, "state"> };
}

/** Composes the lists in use. Their last good texts are kept in the state folder, where there is one. */
export function composeLists({ inUse, tell, ...parts }: ListParts): ListsInUse {
  const kept = new Map<string, number | bigint>();
  let writing = Promise.resolve();
  /** One after the other: two at once would write the same file. */
  const inTurn = (work: (folder: string) => Promise<void>, explain: (code: string) => string): Promise<void> => {
    const folder = inUse.compiled.state?.path;
    if (folder === undefined) return writing;
    writing = writing.then(() => work(folder)).catch((error: unknown) => tell(explain(nameError(error)), "warn"));
    return writing;
  };
  return new ListsInUse({
    ...parts,
    tell,
    fetch: fetchText,
    random: Math.random,
    now: Date.now,
    keep: (key, text) =>
      inTurn(
        async (folder) => {
          const hash = Bun.hash(text);
          if (kept.get(key) === hash) return;
          await writeListCopy(folder, key, text);
          kept.set(key, hash);
        },
        (code) => `Cannot keep a list in the folder of the state: ${code}. After a restart it may be missing.`,
      ),
    tidy: (keys) =>
      inTurn(
        (folder) => tidyListCopies(folder, keys, Date.now()),
        (code) => `Cannot remove lists that nobody uses from the folder of the state: ${code}.`,
      ),
  });
}
