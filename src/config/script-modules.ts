import { readFileSync } from "node:fs";
import { dirname } from "node:path";

/** Separates files from the modules of the executable and of the runtime. */
const isFile = (name: string) => name.startsWith("/") && !name.startsWith("/$bunfs/");

/** Modules that are looked for after an import that failed. */
const MAX_MODULES = 1000;

/**
 * The modules that a configuration file has brought into the process. The runtime
 * keeps a module for ever and gives the old one again; a module that is taken out
 * of its registry is read afresh, and the old one can be collected. An import with
 * a query in its name would read the file alone afresh, and would keep every version.
 */
export class ScriptModules {
  #before: ReadonlySet<string> = new Set();
  #files: readonly string[] = [];

  /** The files that were imported last, absolute; after an import that failed those before it, too. */
  get files(): readonly string[] {
    return this.#files;
  }

  /** Forgets the modules of the imports before. */
  begin(): void {
    for (const name of this.#files) delete require.cache[name];
    this.#before = new Set(Object.keys(require.cache));
  }

  /** Notes which modules have come since `begin`. */
  end(entry: string, succeeded: boolean): void {
    const added = Object.keys(require.cache).filter((name) => isFile(name) && !this.#before.has(name));
    // The registry keeps modules that failed, and does not list them.
    this.#files = succeeded ? added : [...new Set([...this.#files, ...added, ...walkImports(entry)])];
  }
}

/** The file and all that it imports by name, as far as they can be read. */
function walkImports(entry: string): ReadonlySet<string> {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const found = new Set([entry]);
  // A set gives what is added while it is walked.
  for (const file of found) {
    if (found.size >= MAX_MODULES) break;
    try {
      for (const { path } of transpiler.scanImports(readFileSync(file, "utf8"))) {
        const name = Bun.resolveSync(path, dirname(file));
        if (isFile(name)) found.add(name);
      }
    } catch {
      // A file that is missing or malformed imports nothing.
    }
  }
  return found;
}
