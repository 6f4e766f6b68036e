import type { Materials } from "./materials.ts";
import { isRecord } from "./raw.ts";
import { findSecret } from "./resolve-secret.ts";

/** Settings whose value is a secret, or says where it is. */
const secretSettings: ReadonlySet<string> = new Set(["password", "token"]);

/**
 * Finds every secret of a checked configuration, wherever it stands: values of
 * settings that hold one, and the user information of URLs. What conventional
 * variables hold is among them.
 */
export function listSecrets(config: object, materials: Materials): string[] {
  const found = new Set<string>();
  const visit = (value: unknown, setting: string): void => {
    if (secretSettings.has(setting) && (typeof value === "string" || isRecord(value))) {
      const secret = findSecret(value, materials)?.reveal();
      if (secret !== undefined) found.add(secret);
    } else if (typeof value === "string") {
      for (const secret of listUserInformation(value)) found.add(secret);
    } else if (Array.isArray(value)) {
      for (const element of value) visit(element, setting);
    } else if (isRecord(value)) {
      for (const [name, element] of Object.entries(value)) visit(element, name);
    }
  };
  visit(config, "");
  visit(materials.variables, "");
  return [...found].filter((secret) => secret !== "");
}

/** The password of a URL as it is written, and as it is meant. */
function listUserInformation(url: string): string[] {
  const [, password] = /^[a-z][a-z0-9+.-]*:\/\/[^:/]*:(.*)@/is.exec(url) ?? [];
  if (password === undefined) return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}
