import { type Problem, quoteValue } from "./problem.ts";
import { isPacUrl } from "./pac-schema.ts";
import { isRecord, readRecord } from "./plain-data.ts";
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

interface Reference {
  readonly path: readonly PropertyKey[];
  readonly kind: "variable" | FileKind;
  /** Name of the variable, or path of the file as written. */
  readonly name: string;
}

/** Where a configuration is read. */
export type Surroundings = Omit<Materials, "files" | "unread">;

/**
 * Reads every file and checks every variable that the configuration refers to.
 * Works on the configuration as written, malformed or not, so that a missing
 * file is reported together with all other problems.
 */
export async function gatherMaterials(
  raw: unknown,
  surroundings: Surroundings,
  readText: ReadText,
): Promise<{ materials: Materials; problems: Problem[] }> {
  const files = new Map<string, string>();
  const unread = new Map<string, string>();
  const problems: Problem[] = [];
  for (const { path, kind, name } of findReferences(raw)) {
    if (kind === "variable") {
      const value = surroundings.variables[name];
      if (value === undefined || value === "")
        problems.push({
          path,
          message: `The environment variable ${quoteVariable(name)} is ${value === undefined ? "not set" : "empty"}. Set it before starting.`,
        });
      continue;
    }
    if (name.includes("-----BEGIN")) {
      problems.push({ path, message: "Found the text of a PEM file. Write the path of a file that holds it." });
      continue;
    }
    // One list may be in many rules.
    if (kind === "list" && files.has(name)) continue;
    const read = await readText(name, kind);
    // Its last good text may be there.
    if (!read.ok && kind === "list") unread.set(name, read.reason);
    else if (!read.ok)
      problems.push({
        path,
        message: `Cannot read ${quoteValue(name)}: ${read.reason}.`,
      });
    else if (read.text.trim() === "" && kind !== "users" && kind !== "list")
      problems.push({ path, message: `The file ${quoteValue(name)} is empty.` });
    else files.set(name, read.text);
  }
  return { materials: { ...surroundings, files, unread }, problems };
}

/** The name of a variable; `"…"` for a text that looks like the secret itself. */
function quoteVariable(name: string): string {
  return /^[A-Z_][A-Z0-9_]{0,63}$/.test(name) ? JSON.stringify(name) : '"…"';
}

/** The names of all environment variables that `{ env }` asks for. */
export function listVariables(raw: unknown): string[] {
  return findReferences(raw, "variable").map((each) => each.name);
}

/** A file that a setting names. */
export interface NamedFile {
  readonly path: readonly PropertyKey[];
  readonly kind: FileKind | "state";
  /** As written. */
  readonly name: string;
}

/** The files that a configuration as written names, and the folder of its state. */
export function listNamedFiles(raw: unknown): NamedFile[] {
  const { folder } = readRecord(readRecord(raw)["state"]);
  const state = typeof folder === "string" ? [{ path: ["state", "folder"], kind: "state" as const, name: folder }] : [];
  const files = findReferences(raw).flatMap(({ path, kind, name }) =>
    kind === "variable" || name.includes("-----BEGIN") ? [] : [{ path, kind, name }],
  );
  return [...files, ...state];
}

/** The names of the PEM files of a checked configuration that `isPart` chooses by their settings. */
export function listPemFiles(config: object, isPart: (path: readonly PropertyKey[]) => boolean): string[] {
  const found = findReferences(config, "pem").filter(({ path }) => isPart(path));
  return [...new Set(found.map(({ name }) => name))];
}

const secretReferences = [
  ["env", "variable"],
  ["file", "secret"],
] as const;
const pemReferences = ["ca", "cert", "key", "clientCa"].map((name) => [name, "pem"] as const);

const hookReferences = new Map<string, Reference["kind"]>([...secretReferences, ["ca", "pem"]]);
const listReferences: ReadonlyMap<string, Reference["kind"]> = new Map([["file", "list"]]);

/** The settings of each section that refer to a variable or a file, wherever they are in it. */
const references: Readonly<Record<string, ReadonlyMap<string, Reference["kind"]>>> = {
  users: new Map<string, Reference["kind"]>([...secretReferences, ["ca", "pem"]]),
  sidecar: new Map<string, Reference["kind"]>([...secretReferences, ...pemReferences]),
  listen: new Map<string, Reference["kind"]>([...secretReferences, ...pemReferences]),
  forward: new Map(pemReferences),
  rules: new Map(secretReferences),
  state: new Map<string, Reference["kind"]>([...secretReferences, ["ca", "pem"]]),
  telemetry: new Map<string, Reference["kind"]>([...secretReferences, ["ca", "pem"]]),
  approvals: new Map<string, Reference["kind"]>([...secretReferences, ["ca", "pem"]]),
  lists: listReferences,
  upstreams: new Map<string, Reference["kind"]>([...secretReferences, ...pemReferences, ["pac", "pac"]]),
};

/** The references of a configuration, or those of one kind. */
function findReferences(raw: unknown, only?: Reference["kind"]): Reference[] {
  const config = readRecord(raw);
  return Object.entries(references).flatMap(([section, kinds]) => {
    if (only !== undefined && !kinds.values().some((kind) => kind === only)) return [];
    const found: Reference[] = [];
    // One path for all: there may be a million users.
    const path: PropertyKey[] = [section];
    const visit = (value: unknown, kind?: Reference["kind"]): void => {
      if (typeof value === "string") {
        const isFetched = kind === "pac" && isPacUrl(value);
        if (kind !== undefined && value !== "" && !isFetched) found.push({ path: [...path], kind, name: value });
      } else if (Array.isArray(value)) {
        // PEM files may be several.
        const inside = kind === "pem" ? kind : undefined;
        for (let at = 0; at < value.length; at++) visitAt(at, value[at], inside);
      } else if (isRecord(value)) {
        // An upstream may have the name "file", and so may a field for the collector or an origin.
        const isMap = section === "upstreams" || section === "lists";
        const isEdit = path[2] === "request";
        const isHook = path[2] === "webhook";
        const isClaims = section === "users" && path[1] === "claims" && path.length === 2;
        const hasNames = isMap
          ? path.length === 1
          : section === "rules"
            ? (isEdit && path.length === 4) || (isHook && path[3] === "headers" && path.length === 4)
            : isClaims || (path.at(-1) === "headers" && path.length === (section === "approvals" ? 3 : 2));
        // Other files of a rule are lists.
        const known =
          section === "rules" && isHook ? hookReferences : section === "rules" && !isEdit ? listReferences : kinds;
        for (const key of Object.keys(value)) visitAt(key, value[key], hasNames ? undefined : known.get(key));
      }
    };
    const visitAt = (key: PropertyKey, value: unknown, kind?: Reference["kind"]): void => {
      if (kind === undefined && typeof value !== "object") return;
      path.push(key);
      visit(value, kind);
      path.pop();
    };
    visit(config[section]);
    return found
      .filter(({ kind }) => only === undefined || kind === only)
      .map((each) => (isUsersFile(each.path) ? { ...each, kind: "users" } : each));
  });
}

/** The users themselves, and not the password of one. */
function isUsersFile(path: readonly PropertyKey[]): boolean {
  return path.length === 2 && path[0] === "users" && path[1] === "file";
}
