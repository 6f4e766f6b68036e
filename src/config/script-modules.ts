import { realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** Separates files from the modules of the executable and of the runtime. */
const isFile = (name: string) => name.startsWith("/") && !name.startsWith("/$bunfs/");

/** Ends the name of a module, with the number of its import. */
const MARK = "?penstock=";
/** A text without the marks that names of modules have here. */
export function withoutMarks(text: string): string {
  return text.replace(/\?penstock=[0-9]+/g, "");
}

/**
 * The modules that a configuration file brings into the process. The runtime keeps
 * a module under its name for ever, also one that could not be linked or waits for
 * something, and it remembers where a link led. So here the links are followed
 * afresh, and each import gives all modules of the configuration new names.
 * Modules that are taken out of the runtime's registry can be collected.
 */
export class ScriptModules {
  #before: ReadonlySet<string> = new Set();
  /** Names in the registry of the modules that were imported last. */
  #names: readonly string[] = [];
  #files: readonly string[] = [];
  /** Files that the import has come upon, whether they exist or not. */
  readonly #found = new Set<string>();
  #number = 0;
  #isImporting = false;

  constructor() {
    Bun.plugin({
      name: "penstock-modules",
      setup: (build) => {
        build.onResolve({ filter: /^\.{0,2}\// }, ({ path, importer }) => {
          const name = this.#isOurs(importer) ? this.#locate(resolve(dirname(importer), path)) : undefined;
          return name === undefined ? undefined : { path: name };
        });
      },
    });
  }

  /** The files that were imported last, absolute; after an import that failed those before it, too. */
  get files(): readonly string[] {
    return this.#files;
  }

  /** Forgets the modules of the imports before, and gives the name under which `entry` is to be imported. */
  begin(entry: string): string {
    // A function of the configuration may have imported more since.
    const marked = Object.keys(require.cache).filter((name) => name.includes(MARK));
    for (const name of [...this.#names, ...marked]) delete require.cache[name];
    this.#before = new Set(Object.keys(require.cache));
    this.#found.clear();
    this.#number += 1;
    this.#isImporting = true;
    return this.#locate(entry) ?? entry;
  }

  /** Notes which modules have come since `begin`. */
  end(succeeded: boolean): void {
    this.#isImporting = false;
    this.#names = Object.keys(require.cache).filter((name) => isFile(name) && !this.#before.has(name));
    const files = new Set([...this.#found, ...this.#names.map(withoutMarks)]);
    this.#files = [...(succeeded ? files : files.union(new Set(this.#files)))];
  }

  /** Whether a file belongs to the configuration. The runtime finds those by itself that are imported without their ending. */
  #isOurs(importer: string): boolean {
    return this.#found.has(importer) || (this.#isImporting && isFile(importer) && !this.#before.has(importer));
  }

  /** The name for a file in this import; undefined when there is none, so that the runtime says so. */
  #locate(path: string): string | undefined {
    // A link may lead elsewhere later, and what is missing may come.
    this.#found.add(path);
    const file = findFile(path);
    if (file === undefined) return undefined;
    this.#found.add(file);
    return `${file}${MARK}${this.#number}`;
  }
}

/** Where a path leads, when it leads to a file. */
function findFile(path: string): string | undefined {
  try {
    const real = realpathSync(path);
    return statSync(real).isFile() ? real : undefined;
  } catch {
    return undefined;
  }
}
