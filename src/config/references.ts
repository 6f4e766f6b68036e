import { isPacUrl } from "./pac-schema.ts";
import { isRecord } from "./plain-data.ts";
import type { FileKind } from "./read-file.ts";

/** What a text names: an environment variable, or a file of that kind. */
export type ReferenceKind = "variable" | FileKind;

type Kinds = Readonly<Record<string, ReferenceKind>>;

/** Which settings of a section name variables and files. It is declared beside the schema of the section. */
export interface References {
  /** By the name of the setting, in this map and in all below it. */
  readonly texts: Kinds;
  /** Settings of this very map, or of the maps of this very list, that differ from that. */
  readonly parts?: Readonly<Record<string, ReferenceKind | References>>;
  /** The keys of this map are names that people chose. */
  readonly isNamed?: true;
}

/** `{ env: "NAME" }` and `{ file: "PATH" }` in place of a secret. */
export const secretTexts = { env: "variable", file: "secret" } as const satisfies Kinds;
export const pemTexts = { ca: "pem", cert: "pem", key: "pem", clientCa: "pem" } as const satisfies Kinds;
/** A map whose keys are names, such as header fields, and whose values may be secrets. */
export const namedSecrets: References = { texts: secretTexts, isNamed: true };
/** A server that is asked, with secrets in header fields. */
export const serverReferences: References = { texts: { ...secretTexts, ca: "pem" }, parts: { headers: namedSecrets } };

export interface Reference {
  readonly path: readonly PropertyKey[];
  readonly kind: ReferenceKind;
  /** Name of the variable, or path of the file as written. */
  readonly name: string;
}

/** The references of a section as it was written, malformed or not. */
export function findReferences(
  section: unknown,
  references: References,
  from: readonly PropertyKey[] = [],
): Reference[] {
  const found: Reference[] = [];
  // One path for all: there may be a million users.
  const path = [...from];
  const visit = (value: unknown, around: References, kind?: ReferenceKind): void => {
    if (typeof value === "string") {
      const isFetched = kind === "pac" && isPacUrl(value);
      if (kind !== undefined && value !== "" && !isFetched) found.push({ path: [...path], kind, name: value });
    } else if (Array.isArray(value)) {
      // PEM files may be several.
      const inside = kind === "pem" ? kind : undefined;
      for (let at = 0; at < value.length; at++) visitAt(at, value[at], around, inside);
    } else if (isRecord(value)) {
      const { texts, parts, isNamed } = around;
      const below = parts === undefined && isNamed === undefined ? around : { texts };
      for (const key of Object.keys(value)) {
        const part = own(parts, key) ?? (isNamed ? undefined : own(texts, key));
        if (typeof part === "object") visitAt(key, value[key], part);
        else visitAt(key, value[key], below, part);
      }
    }
  };
  const visitAt = (key: PropertyKey, value: unknown, around: References, kind?: ReferenceKind): void => {
    if (kind === undefined && typeof value !== "object") return;
    path.push(key);
    visit(value, around, kind);
    path.pop();
  };
  visit(section, references);
  return found;
}

/** The names of the PEM files of a checked section. */
export function listPemFiles(section: unknown, references: References): string[] {
  const found = findReferences(section, references).filter(({ kind }) => kind === "pem");
  return [...new Set(found.map(({ name }) => name))];
}

/** A malformed configuration may have a setting with the name of a method. */
function own<T>(map: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined;
}
