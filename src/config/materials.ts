import { type Problem, quoteValue } from "./problem.ts";
import { isRecord, readList, readRecord } from "./raw.ts";
import type { FileKind, FileText } from "./read-file.ts";

/** What a configuration refers to, read beforehand so that compiling it needs no file and no environment. */
export interface Materials {
  /** Texts of files by their path as written. */
  readonly files: ReadonlyMap<string, string>;
  /** Environment variables by name. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Absolute path of the folder that relative paths start from: the one of the configuration file. */
  readonly folder: string;
  /** Whether standard output is a terminal: decides the default of `log.access`. */
  readonly terminal: boolean;
  /** Milliseconds since the epoch at which the certificates of listeners must be valid; not looked at when absent. */
  readonly now?: number;
}

/** Reads a file of that kind. */
export type ReadText = (path: string, kind: FileKind) => Promise<FileText>;

interface Reference {
  readonly path: readonly PropertyKey[];
  readonly kind: "variable" | FileKind;
  /** Name of the variable, or path of the file as written. */
  readonly name: string;
}

/** Where a configuration is read. */
export type Surroundings = Omit<Materials, "files">;

/**
 * Reads every file and checks every variable that the configuration refers to.
 * Works on the configuration as written, malformed or not, so that a missing
 * file is told together with all other problems.
 */
export async function gatherMaterials(
  raw: unknown,
  surroundings: Surroundings,
  readText: ReadText,
): Promise<{ materials: Materials; problems: Problem[] }> {
  const files = new Map<string, string>();
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
    const read = await readText(name, kind);
    if (!read.ok)
      problems.push({
        path,
        message: `Cannot read ${quoteValue(name)}: ${read.reason}.`,
      });
    else if (read.text.trim() === "" && kind !== "users")
      problems.push({ path, message: `The file ${quoteValue(name)} is empty.` });
    else files.set(name, read.text);
  }
  return { materials: { ...surroundings, files }, problems };
}

/** The name of a variable; `"…"` for what looks more like the secret that it should hold. */
function quoteVariable(name: string): string {
  return /^[A-Z_][A-Z0-9_]{0,63}$/.test(name) ? JSON.stringify(name) : '"…"';
}

/** The names of all environment variables that `{ env }` asks for. */
export function listVariables(raw: unknown): string[] {
  return findReferences(raw)
    .filter((each) => each.kind === "variable")
    .map((each) => each.name);
}

/** The users themselves, and not the password of one. */
function isUsersFile(path: readonly PropertyKey[]): boolean {
  return path.length === 2 && path[0] === "users";
}

/** Files of certificates and keys are given by their path alone. */
const pathSettings = ["ca", "cert", "key"];

/** `{ env }` and `{ file }` mean the same wherever they are. */
function findReferences(raw: unknown): Reference[] {
  const found: Reference[] = [];
  const visit = (value: unknown, path: readonly PropertyKey[]) => {
    if (Array.isArray(value)) {
      for (const [at, entry] of value.entries()) visit(entry, [...path, at]);
      return;
    }
    if (!isRecord(value)) return;
    for (const [key, entry] of Object.entries(value)) {
      const where = [...path, key];
      if (typeof entry !== "string") visit(entry, where);
      else if (entry === "") continue;
      else if (key === "env") found.push({ path: where, kind: "variable", name: entry });
      else if (key === "file") found.push({ path: where, kind: isUsersFile(where) ? "users" : "secret", name: entry });
    }
  };
  const config = readRecord(raw);
  visit(config["users"], ["users"]);
  visit(config["sidecar"], ["sidecar"]);
  for (const [at, listener] of readList(config["listen"]).entries())
    found.push(...findTlsPaths(readRecord(readRecord(listener)["tls"]), ["listen", at, "tls"]));
  found.push(...findPaths(readRecord(config["forward"])["ca"], ["forward", "ca"]));
  for (const [name, upstream] of Object.entries(readRecord(config["upstreams"]))) {
    const path = ["upstreams", name];
    // From the value on: an upstream may have the name "file".
    visit(upstream, path);
    for (const key of pathSettings) found.push(...findPaths(readRecord(upstream)[key], [...path, key]));
  }
  return found;
}

function findTlsPaths(tls: Readonly<Record<string, unknown>>, path: PropertyKey[]): Reference[] {
  const pairs = readList(tls["certificates"]).flatMap((pair, at) =>
    findTlsPaths(readRecord(pair), [...path, "certificates", at]),
  );
  return [...["cert", "key", "clientCa"].flatMap((key) => findPaths(tls[key], [...path, key])), ...pairs];
}

function findPaths(value: unknown, path: PropertyKey[]): Reference[] {
  if (typeof value === "string") return value === "" ? [] : [{ path, kind: "pem", name: value }];
  return readList(value).flatMap((entry, at) =>
    typeof entry === "string" && entry !== "" ? [{ path: [...path, at], kind: "pem" as const, name: entry }] : [],
  );
}
