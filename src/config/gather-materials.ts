import { approvalsReferences } from "./approvals-schema.ts";
import { forwardReferences } from "./forward.ts";
import { listenReferences } from "./listener-schema.ts";
import { listsReferences } from "./lists-schema.ts";
import type { Materials, ReadText, Surroundings } from "./materials.ts";
import { readRecord } from "./plain-data.ts";
import { type Problem, quoteValue } from "./problem.ts";
import type { FileKind } from "./read-file.ts";
import { findReferences, type Reference, type References } from "./references.ts";
import { rulesReferences } from "./rule-schema.ts";
import { sidecarReferences } from "./sidecar.ts";
import { stateReferences } from "./state.ts";
import { telemetryReferences } from "./telemetry.ts";
import { upstreamsReferences } from "./upstreams-schema.ts";
import { usersReferences } from "./users-schema.ts";

const sections: Readonly<Record<string, References>> = {
  users: usersReferences,
  sidecar: sidecarReferences,
  listen: listenReferences,
  forward: forwardReferences,
  rules: rulesReferences,
  state: stateReferences,
  telemetry: telemetryReferences,
  approvals: approvalsReferences,
  lists: listsReferences,
  upstreams: upstreamsReferences,
};

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
  for (const { path, kind, name } of listReferences(raw)) {
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
  return listReferences(raw).flatMap(({ kind, name }) => (kind === "variable" ? name : []));
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
  const files = listReferences(raw).flatMap(({ path, kind, name }) =>
    kind === "variable" || name.includes("-----BEGIN") ? [] : [{ path, kind, name }],
  );
  return [...files, ...state];
}

function listReferences(raw: unknown): Reference[] {
  const config = readRecord(raw);
  return Object.entries(sections).flatMap(([name, references]) => findReferences(config[name], references, [name]));
}
