import type { CompiledConfig } from "./config/compile.ts";
import { writeListCopy } from "./lists/list-copies.ts";
import { ListsInUse, type ListsInUseOptions } from "./lists/lists-in-use.ts";
import { fetchText } from "./net/http/fetch-text.ts";

interface ListParts extends Pick<ListsInUseOptions, "tell" | "turn" | "use" | "publish"> {
  readonly inUse: { readonly compiled: Pick<CompiledConfig, "state"> };
}

/** Composes the lists in use. Their last good texts are kept in the state folder, where there is one. */
export function composeLists({ inUse, tell, ...parts }: ListParts): ListsInUse {
  const kept = new Map<string, number | bigint>();
  let writing = Promise.resolve();
  const write = async (folder: string, key: string, text: string): Promise<void> => {
    const hash = Bun.hash(text);
    if (kept.get(key) === hash) return;
    try {
      await writeListCopy(folder, key, text);
      kept.set(key, hash);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
      tell(`Cannot keep a list in the folder of the state: ${code}. After a restart it may be missing.`, "warn");
    }
  };
  return new ListsInUse({
    ...parts,
    tell,
    fetch: fetchText,
    random: Math.random,
    now: Date.now,
    keep(key, text) {
      const folder = inUse.compiled.state?.path;
      // One after the other: two at once would write the same file.
      if (folder !== undefined) writing = writing.then(() => write(folder, key, text));
      return writing;
    },
  });
}
