import { Secret } from "../secret.ts";
import type { SecretSource } from "./fields.ts";
import type { Materials } from "./materials.ts";

/** The secret itself; undefined when there is none, or when what holds it is missing (which has been told). */
export function findSecret(source: SecretSource | undefined, materials: Materials | undefined): Secret | undefined {
  const text = findSecretText(source, materials);
  return text === undefined || text === "" ? undefined : new Secret(text);
}

function findSecretText(source: SecretSource | undefined, materials: Materials | undefined): string | undefined {
  if (source === undefined || typeof source === "string") return source;
  if (source.env !== undefined) return materials?.variables[source.env];
  if (source.file === undefined) return undefined;
  return materials?.files.get(source.file)?.replace(/\r?\n$/, "");
}
