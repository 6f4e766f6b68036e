import type { FileKind, FileText } from "./read-file.ts";

/** The files and variables that a configuration refers to, read before it is compiled. */
export interface Materials {
  /** Texts of files by their path as written. */
  readonly files: ReadonlyMap<string, string>;
  /** Environment variables by name. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Absolute path of the folder that relative paths start from: the one of the configuration file. */
  readonly folder: string;
  /** Why files of lists cannot be read, by their path as written. */
  readonly unread?: ReadonlyMap<string, string>;
  /** The last good text of a list, in memory or in the folder of the state. */
  readonly findLastList?: (key: string, state: string | undefined) => string | undefined;
  /** Whether standard output is a terminal: decides the default of `log.access`. */
  readonly terminal: boolean;
  /** Milliseconds since the epoch at which the certificates of listeners must be valid; not looked at when absent. */
  readonly now?: number;
}

export type ReadText = (path: string, kind: FileKind) => Promise<FileText>;

/** Where a configuration is read. */
export type Surroundings = Omit<Materials, "files" | "unread">;
